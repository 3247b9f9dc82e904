package sparkify;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.WeakHashMap;
import java.util.regex.Pattern;
import javax.security.sasl.AuthenticationException;
import org.apache.hadoop.fs.Path;
import org.apache.hive.service.auth.PasswdAuthenticationProvider;
import org.apache.spark.internal.config.ConfigEntry;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction;
import org.apache.spark.sql.catalyst.analysis.UnresolvedRelation;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.catalog.HiveTableRelation;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.V1Table;
import org.apache.spark.sql.connector.catalog.V2TableWithV1Fallback;
import org.apache.spark.sql.execution.command.SetCommand;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import org.apache.spark.sql.execution.datasources.jdbc.JDBCRelation;
import org.apache.spark.sql.internal.SQLConf$;
import scala.Function2;
import scala.Option;
import scala.Product;
import scala.Tuple2;
import scala.collection.Iterable;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;
import scala.runtime.AbstractFunction2;
import scala.runtime.BoxedUnit;

/**
 * Who may come in over Thrift, and what they may ask: a writer everything but programs, a reader
 * only to read tables of the catalogue.
 *
 * The role belongs to the token, not to the user's name, which a client may choose. A connection
 * is one thread: what logs in there is the role of the sessions that are opened there. Sessions
 * that nobody logged in to (Spark Connect, which checks the writer's token itself) are a writer's.
 *
 * Spark calls this class by its name. It is compiled by Janino, which knows neither lambdas nor
 * generics; Spark brings it along, a Java compiler is often missing.
 */
public final class Gate extends AbstractFunction1 implements PasswdAuthenticationProvider {
    private static final String[] ROLES = {"writer", "reader"};
    private static final ThreadLocal LOGGED_IN = new ThreadLocal();
    // The first session, which the server opens before anybody comes, and no client has.
    private static SparkSession server;
    private static final Map ROLE_OF = Collections.synchronizedMap(new WeakHashMap());
    // Plans without children from which a reader's query may come, besides tables; and what a
    // command names, in which every table is looked at.
    private static final List SOURCES = Arrays.asList(new String[] {
        "OneRowRelation", "LocalRelation", "Range", "CTERelationRef", "CommandResult",
        "UnionLoopRef", "LogicalRDD", "ExternalRDD", "InMemoryRelation",
        "ResolvedTable", "ResolvedPersistentView", "ResolvedTempView", "ResolvedNamespace",
        "ResolvedIdentifier", "ResolvedPersistentFunc", "ResolvedNonPersistentFunc",
    });
    private static final List COMMANDS = Arrays.asList(new String[] {
        "ExplainCommand", "SetCommand", "SetNamespaceCommand", "SetCatalogAndNamespace",
    });
    // What a reader's session has switched off: tables that are named by a path, of which Spark
    // reads and tells something before a plan can be checked, and ${env:...} in a statement.
    private static final List SWITCHED_OFF = Arrays.asList(new String[] {
        "spark.sql.runSQLOnFiles", "spark.sql.variable.substitute",
    });
    // What a reader may set: how values are shown, what a query costs, and what clients set while
    // they connect. Nothing by which a table would be another one, or a check left out.
    private static final Pattern READERS_SETTINGS = Pattern.compile(
        "spark\\.sql\\.(session\\.timeZone|ansi\\.enabled|shuffle\\.partitions|hive\\.version"
        + "|json\\.enablePartialResults|streaming\\.fileStreamSink\\.ignoreMetadata"
        + "|(execution\\.arrow|repl|thriftServer)\\..*|thriftserver\\.scheduler\\.pool)"
        + "|sparkify\\.user\\.key|hive\\.server2\\.thrift\\.resultset\\.default\\.fetch\\.size");
    // What a reader may say of how a table is read; its place is the table's own.
    private static final List OPTIONS = Arrays.asList(new String[] {"mergeschema", "path"});
    // In a time that Spark works out before a plan can be checked: what runs no program.
    private static final List OF_TIMES = Arrays.asList(new String[] {
        "Literal", "Cast", "Add", "Subtract", "Multiply", "Divide", "UnaryMinus",
        "UnresolvedAttribute", "TimestampAdd", "CurrentTimestamp", "CurrentDate", "Now", "LocalTimestamp",
    });
    private static final Pattern TIMES = Pattern.compile(
        "now|current_(timestamp|date)|localtimestamp|(to_)?(timestamp|date)|timestamp_\\w+"
        + "|date_?(add|sub)|add_months|date_trunc|trunc|make_(date|timestamp)|from_unixtime");
    private static final Pattern METHODS = Pattern.compile("(try_)?reflect|java_method");
    // What nobody may change in a running server: by the first the checks of this class are left
    // out, by the others Spark shows secrets.
    private static final Pattern FIXED = Pattern.compile(
        "spark\\.sql\\.(analyzer\\.singlePassResolver|redaction)\\..*"
        + "|spark\\.sql\\.legacy\\.setCommandRejectsSparkCoreConfs");
    private static final List OF_CORE = Arrays.asList(new String[] {
        "spark.redaction.regex", "spark.redaction.string.regex",
    });

    /** Called at each login: the password is a token, the name does not matter. */
    public void Authenticate(String user, String password) throws AuthenticationException {
        LOGGED_IN.remove();
        byte[] given = String.valueOf(password).getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < ROLES.length; i++) {
            byte[] token;
            try {
                token = Files.readAllBytes(
                    Paths.get(System.getenv("SPARKIFY_TOKENS"), new String[] {ROLES[i]}));
            } catch (IOException e) {
                continue;
            }
            if (token.length > 0 && MessageDigest.isEqual(token, given)) {
                LOGGED_IN.set(ROLES[i]);
                return;
            }
        }
        throw new AuthenticationException("it is not a token of this server");
    }

    /** Called once by Spark, with what every session is built of. */
    public Object apply(Object extensions) {
        if (!(System.getProperties() instanceof SystemProperties)) {
            System.setProperties(new SystemProperties(System.getProperties()));
        }
        fixSettings();
        // A parser is built with the session, in the thread that opens it; a check at its first use.
        ((SparkSessionExtensions) extensions).injectParser(new AbstractFunction2() {
            public Object apply(Object session, Object parser) {
                if (server == null) {
                    server = (SparkSession) session;
                }
                Object role = LOGGED_IN.get();
                ROLE_OF.put(session, role == null ? "writer" : role);
                return guarded((SparkSession) session, parser, "reader".equals(role));
            }
        });
        ((SparkSessionExtensions) extensions).injectCheckRule(new AbstractFunction1() {
            public Object apply(final Object session) {
                return new AbstractFunction1() {
                    public Object apply(Object plan) {
                        check((LogicalPlan) plan, "reader".equals(ROLE_OF.get(session)));
                        return BoxedUnit.UNIT;
                    }
                };
            }
        });
        return BoxedUnit.UNIT;
    }

    /** Have Spark take settings for static ones, which it lets no session change in any way. */
    static void fixSettings() {
        try {
            Set names = new HashSet(OF_CORE);
            Iterator entries = SQLConf$.MODULE$.getConfigEntries().iterator();
            while (entries.hasNext()) {
                String name = ((ConfigEntry) entries.next()).key();
                if (FIXED.matcher(name).matches()) {
                    names.add(name);
                }
            }
            Field known = SQLConf$.class.getDeclaredField("staticConfKeys");
            known.setAccessible(true);
            names.addAll((Set) known.get(null));
            known.set(null, names);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** Those of the JVM: Hive lets a client set them while it connects, and would obey. */
    private static final class SystemProperties extends Properties {
        SystemProperties(Properties before) {
            putAll(before);
        }

        public synchronized Object setProperty(String name, String value) {
            if ("reader".equals(LOGGED_IN.get())) {
                throw refusal("settings of the server: " + name);
            }
            return super.setProperty(name, value);
        }
    }

    /**
     * A parser that refuses what Spark would do before there is a plan to check and, of a reader,
     * where the client came with what it may not set.
     */
    static Object guarded(
            final SparkSession session, final Object parser, final boolean isReader) {
        return Proxy.newProxyInstance(
            ParserInterface.class.getClassLoader(),
            new Class[] {ParserInterface.class},
            new InvocationHandler() {
                private boolean isChecked;

                public Object invoke(Object proxy, Method method, Object[] arguments)
                        throws Throwable {
                    if (isReader && !isChecked) {
                        checkSettings(session);
                    }
                    // Later ones are statements, which are checked; or Spark's and Delta's own.
                    isChecked = true;
                    for (int i = 0; isReader && i < SWITCHED_OFF.size(); i++) {
                        session.conf().set((String) SWITCHED_OFF.get(i), "false");
                    }
                    try {
                        Object parsed = method.invoke(parser, arguments);
                        checkParsed(parsed, isReader);
                        return parsed;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }
            });
    }

    /** Refuse what a session has otherwise than the server, and a reader may not set. */
    static void checkSettings(SparkSession session) {
        Map ofServer = CollectionConverters.asJava(server.conf().getAll());
        Iterator settings = CollectionConverters.asJava(
            session.conf().getAll()).entrySet().iterator();
        while (settings.hasNext()) {
            Map.Entry each = (Map.Entry) settings.next();
            Object name = each.getKey();
            Object before = ofServer.containsKey(name)
                ? ofServer.get(name) : System.getProperty((String) name);
            if (!each.getValue().equals(before)) {
                checkSetting((String) name, (String) each.getValue());
            }
        }
    }

    /** Refuse a setting that is none of a reader's, or that Spark fills in from the environment. */
    static void checkSetting(String name, String value) {
        if (!READERS_SETTINGS.matcher(name).matches() || value.contains("${")) {
            throw refusal("this setting: " + name);
        }
    }

    /** Refuse to show a setting of the server: Spark looks for others than its own in Hadoop's. */
    static void checkShown(String name) {
        boolean isShown = name.startsWith("spark.sql.") || name.equals("-v")
            || READERS_SETTINGS.matcher(name).matches();
        if (!isShown || name.startsWith("spark.sql.catalog.")) {
            throw refusal("settings of the server: " + name);
        }
    }

    /**
     * Refuse, in what was only parsed, what Spark does while it analyses: it works out the time of a
     * version, a query in it included; it opens a table with the options that a query gives it; and it
     * evaluates what is the same in all rows, such as what a function of XML reads.
     */
    static void checkParsed(Object part, boolean isReader) {
        if (!(part instanceof Iterable || part instanceof Product)) {
            return;
        }
        String name = part.getClass().getSimpleName();
        if (name.equals("ScriptTransformation")) {
            refuseProgram("transform ... using", isReader);
        } else if (name.equals("RelationTimeTravel")) {
            checkTime(((Product) part).productElement(1), isReader);
        } else if (name.endsWith("WithUnresolvedIdentifier")) {
            checkHidden((Product) part, isReader);
        } else if (part instanceof UnresolvedFunction) {
            checkFunction((UnresolvedFunction) part, isReader);
        } else if (part instanceof UnresolvedRelation && isReader) {
            Iterator options = ((UnresolvedRelation) part).options().keySet().iterator();
            while (options.hasNext()) {
                String option = (String) options.next();
                if (!option.equalsIgnoreCase("mergeSchema")) {
                    throw refusal("this option of a table: " + option);
                }
            }
        }
        // A list is both, and as a product it is as deep as it is long.
        Iterator each = part instanceof Iterable
            ? CollectionConverters.asJava((Iterable) part).iterator()
            : CollectionConverters.asJava(((Product) part).productIterator());
        while (each.hasNext()) {
            checkParsed(each.next(), isReader);
        }
    }

    /** Refuse what `identifier(...)` names, of which Spark keeps all else in a function until later. */
    static void checkHidden(Product part, boolean isReader) {
        if (isReader) {
            throw refusal("identifier(...)");
        }
        Object parsed;
        try {
            Object name = CollectionConverters.asScala(Arrays.asList(new String[] {"x"})).toSeq();
            parsed = ((Function2) part.productElement(2)).apply(name, part.productElement(1));
        } catch (Exception e) {
            refuseProgram("what identifier(...) names", isReader);
            return;
        }
        checkParsed(parsed, isReader);
    }

    static void checkFunction(UnresolvedFunction called, boolean isReader) {
        String name = ((String) called.nameParts().last()).toLowerCase();
        if (METHODS.matcher(name).matches()) {
            refuseProgram(name, isReader);
        }
        // They follow what a text of XML says of files, and so may options.
        boolean mayOpen = name.startsWith("xpath")
            || name.equals("schema_of_xml") && called.arguments().size() > 1
            || name.equals("from_xml") && called.arguments().size() > 2;
        if (isReader && mayOpen) {
            throw refusal("files: " + name);
        }
    }

    /** Refuse a time in which there is a query, or a function that is not known to be harmless. */
    static void checkTime(Object part, boolean isReader) {
        if (part instanceof Option) {
            part = ((Option) part).isDefined() ? ((Option) part).get() : null;
        }
        if (part == null) {
            return;
        }
        Expression time = (Expression) part;
        boolean isHarmless = time instanceof UnresolvedFunction
            ? TIMES.matcher(((UnresolvedFunction) time).nameParts().mkString(".").toLowerCase())
                .matches()
            : OF_TIMES.contains(time.getClass().getSimpleName());
        if (!isHarmless) {
            refuseProgram("a version by a time that is to be found out", isReader);
        }
        Iterator each = CollectionConverters.asJava(time.children()).iterator();
        while (each.hasNext()) {
            checkTime(each.next(), isReader);
        }
    }

    /** Refuse an analysed plan that runs a program or, for a reader, does more than read tables. */
    static void check(LogicalPlan plan, boolean isReader) {
        String name = plan.getClass().getSimpleName();
        if (name.equals("ScriptTransformation")) {
            refuseProgram("transform ... using", isReader);
        }
        if (isReader) {
            checkRead(plan, name);
        }
        checkExpressions(plan.expressions(), isReader);
        checkAll(plan.children(), isReader);
        checkAll(plan.subqueries(), isReader);
    }

    /** Refuse a node of a plan, without what is below it, that does more than read tables. */
    static void checkRead(LogicalPlan plan, String name) {
        if (plan instanceof Command ? !mayRun(name) : isDelta(plan)) {
            throw refusal(name);
        }
        if (plan instanceof SetCommand) {
            Option set = ((SetCommand) plan).kv();
            Tuple2 pair = set.isDefined() ? (Tuple2) set.get() : new Tuple2("all", Option.empty());
            if (((Option) pair._2()).isDefined()) {
                checkSetting((String) pair._1(), (String) ((Option) pair._2()).get());
            } else {
                checkShown((String) pair._1());
            }
        }
        Iterator parts = CollectionConverters.asJava(plan.productIterator());
        while (parts.hasNext()) {
            Object part = parts.next();
            if (part instanceof Table && !mayTell((Table) part)) {
                throw refusal("files and the log: " + name);
            }
        }
        if (plan.children().isEmpty() && !(plan instanceof Command) && !mayRead(plan, name)) {
            throw refusal("files, the log, and other sources: " + name);
        }
    }

    static boolean mayRun(String command) {
        return COMMANDS.contains(command) || command.startsWith("Show")
            || command.startsWith("Describe");
    }

    /** Delta's own plans, which delete and change rows and are no commands yet. */
    static boolean isDelta(LogicalPlan plan) {
        String name = plan.getClass().getName();
        return name.startsWith("io.delta.") || name.startsWith("org.apache.spark.sql.delta.")
            || name.startsWith("org.apache.spark.sql.catalyst.plans.logical.Delta");
    }

    /** Whether a command may tell of a table: of one in the catalogue, not of a folder. */
    static boolean mayTell(Table table) {
        if (table instanceof V1Table) {
            return !isLog(((V1Table) table).v1Table());
        }
        try {
            return table instanceof V2TableWithV1Fallback
                && !isLog(((V2TableWithV1Fallback) table).v1Table());
        } catch (IllegalStateException e) {  // so says Delta of a folder
            return false;
        }
    }

    static boolean mayRead(LogicalPlan source, String name) {
        if (source instanceof LogicalRelation) {
            LogicalRelation read = (LogicalRelation) source;
            return read.catalogTable().isDefined()
                ? isOwn(read.relation(), (CatalogTable) read.catalogTable().get())
                : isDeltaLog(read.relation());
        }
        if (source instanceof HiveTableRelation) {
            return !isLog(((HiveTableRelation) source).tableMeta());
        }
        return SOURCES.contains(name);
    }

    /** Whether Delta looks up the files of a table, which it does by a query of its own. */
    static boolean isDeltaLog(Object relation) {
        return relation instanceof HadoopFsRelation
            && ((HadoopFsRelation) relation).location().getClass().getName().equals(
                "org.apache.spark.sql.delta.DeltaLogFileIndex");
    }

    /** Whether a table is of the log as it was written, which has the names of people. */
    static boolean isLog(CatalogTable table) {
        return table.database().endsWith("_raw");
    }

    /**
     * Whether a table is read from its own place and with its own options: with others, as in
     * `from t with (...)`, it is another file, or of another file system, or its database is told
     * to do something.
     */
    static boolean isOwn(Object relation, CatalogTable table) {
        scala.collection.Map given;
        if (relation instanceof HadoopFsRelation) {
            given = ((HadoopFsRelation) relation).options();
            Iterator roots = CollectionConverters.asJava(
                (Iterable) ((HadoopFsRelation) relation).location().rootPaths()).iterator();
            String place = new Path(table.location()) + "/";
            while (roots.hasNext()) {
                if (!(roots.next() + "/").startsWith(place)) {
                    return false;
                }
            }
        } else if (relation instanceof JDBCRelation) {
            given = ((JDBCRelation) relation).jdbcOptions().parameters();
        } else {
            return false;
        }
        Map own = new TreeMap(String.CASE_INSENSITIVE_ORDER);
        own.putAll(CollectionConverters.asJava(table.storage().properties()));
        Iterator options = CollectionConverters.asJava(given).entrySet().iterator();
        while (options.hasNext()) {
            Map.Entry each = (Map.Entry) options.next();
            String name = ((String) each.getKey()).toLowerCase();
            if (!OPTIONS.contains(name) && !each.getValue().equals(own.get(name))) {
                return false;
            }
        }
        return !isLog(table);
    }

    static void checkAll(Iterable plans, boolean isReader) {
        Iterator each = CollectionConverters.asJava(plans).iterator();
        while (each.hasNext()) {
            check((LogicalPlan) each.next(), isReader);
        }
    }

    static void checkExpressions(Iterable expressions, boolean isReader) {
        Iterator each = CollectionConverters.asJava(expressions).iterator();
        while (each.hasNext()) {
            Expression expression = (Expression) each.next();
            String name = expression.getClass().getSimpleName();
            // Functions that are classes of Hive's: `reflect` is one of them, under any name.
            if (name.contains("Reflect") || name.startsWith("Hive")) {
                refuseProgram(expression.prettyName(), isReader);
            }
            boolean mayOpen = name.startsWith("XPath")
                || name.contains("Xml") && hasOption(expression, "xsdpath");
            if (isReader && mayOpen) {
                throw refusal("files: " + expression.prettyName());
            }
            checkExpressions(expression.children(), isReader);
        }
    }

    static boolean hasOption(Expression expression, String part) {
        Iterator parts = CollectionConverters.asJava(expression.productIterator());
        while (parts.hasNext()) {
            Object each = parts.next();
            if (each instanceof scala.collection.Map
                    && each.toString().toLowerCase().contains(part)) {
                return true;
            }
        }
        return false;
    }

    static void refuseProgram(String what, boolean isReader) {
        if (isReader) {
            throw refusal("programs: " + what);
        }
        if (!"1".equals(System.getenv("SPARKIFY_PROGRAMS"))) {
            throw new SecurityException(
                what + " may run a program on the server; it is refused unless that was started"
                + " with `sparkify serve --allow-programs`");
        }
    }

    static SecurityException refusal(String what) {
        return new SecurityException(
            "the reader's token only reads tables, it may not do this: " + what);
    }
}
