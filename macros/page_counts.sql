{#
    The pages that a user day counts: column name to page of the log.

        {% for column, page in page_counts().items() %}
            ->  song_count: NextSong, thumbs_up_count: Thumbs Up, ...
#}
{% macro page_counts() %}
    {% do return({
        'song_count': 'NextSong',
        'thumbs_up_count': 'Thumbs Up',
        'thumbs_down_count': 'Thumbs Down',
        'add_to_playlist_count': 'Add to Playlist',
        'add_friend_count': 'Add Friend',
        'advert_count': 'Roll Advert',
        'error_count': 'Error',
        'help_count': 'Help',
        'home_count': 'Home',
        'about_count': 'About',
        'logout_count': 'Logout',
        'settings_count': 'Settings',
        'save_settings_count': 'Save Settings',
        'downgrade_page_count': 'Downgrade',
        'upgrade_page_count': 'Upgrade',
        'submit_downgrade_count': 'Submit Downgrade',
        'submit_upgrade_count': 'Submit Upgrade',
    }) %}
{% endmacro %}
