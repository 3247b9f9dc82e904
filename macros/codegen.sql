{#
    A statement that has Spark generate code from here on, or none; nothing where the run has one
    way for all.

        on-run-start: "{{ codegen() }}"  ->  set spark.sql.codegen.factoryMode=NO_CODEGEN
        pre_hook: "{{ codegen('FALLBACK') }}"  ->  set spark.sql.codegen.factoryMode=FALLBACK

    Under SPARKIFY_CODEGEN ROWS the hooks of models that read every row of the log call for code: of
    a log that is not large these alone have rows enough for it to pay. Models beside one of them
    may get code too, which costs time alone.

    Arguments:
        mode: FALLBACK or NO_CODEGEN; without it that of the whole run.
#}
{% macro codegen(mode=none) -%}
    {%- set chosen = env_var('SPARKIFY_CODEGEN', '') or 'FALLBACK' -%}
    {%- if mode is none or chosen == 'ROWS' -%}
        set spark.sql.codegen.factoryMode={{ mode or chosen | replace('ROWS', 'NO_CODEGEN') }}
    {%- endif -%}
{%- endmacro %}
