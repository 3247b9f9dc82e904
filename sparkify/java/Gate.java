package sparkify;

import java.io.IOException;
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
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.WeakHashMap;
import javax.security.sasl.AuthenticationException;
import org.apache.hadoop.fs.Path;
import org.apache.hive.service.auth.PasswdAuthenticationProvider;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.catalog.HiveTableRelation;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.XmlToStructs;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.execution.command.SetCommand;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import scala.Option;
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
    private static final Map ROLE_OF = Collections.synchronizedMap(new WeakHashMap());
    // Plans without children from which a reader's query may come, besides tables.
    private static final List SOURCES = Arrays.asList(new String[] {
        "OneRowRelation", "LocalRelation", "Range", "CTERelationRef", "CommandResult",
        "UnionLoopRef", "LogicalRDD", "ExternalRDD", "InMemoryRelation",
    });
    private static final List COMMANDS = Arrays.asList(new String[] {
        "ExplainCommand", "SetCommand", "SetNamespaceCommand", "SetCatalogAndNamespace",
    });
    // What a reader's session has switched off: tables that are named by a path, of which Spark
    // reads and tells something before a plan can be checked, and ${env:...} in a statement.
    private static final List SWITCHED_OFF = Arrays.asList(new String[] {
        "spark.sql.runSQLOnFiles", "spark.sql.variable.substitute",
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
        // A parser is built with the session, in the thread that opens it; a check at its first use.
        ((SparkSessionExtensions) extensions).injectParser(new AbstractFunction2() {
            public Object apply(Object session, Object parser) {
                Object role = LOGGED_IN.get();
                ROLE_OF.put(session, role == null ? "writer" : role);
                return "reader".equals(role) ? guarded((SparkSession) session, parser) : parser;
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

    /** A parser that refuses where the client has set what it may not. */
    static Object guarded(final SparkSession session, final Object parser) {
        return Proxy.newProxyInstance(
            ParserInterface.class.getClassLoader(),
            new Class[] {ParserInterface.class},
            new InvocationHandler() {
                public Object invoke(Object proxy, Method method, Object[] arguments)
                        throws Throwable {
                    Iterator settings = CollectionConverters.asJava(
                        session.conf().getAll()).entrySet().iterator();
                    while (settings.hasNext()) {
                        Map.Entry each = (Map.Entry) settings.next();
                        String name = (String) each.getKey();
                        if (!SWITCHED_OFF.contains(name)
                                && !each.getValue().equals(ofServer(session, name))) {
                            checkSetting(name, (String) each.getValue());
                        }
                    }
                    for (int i = 0; i < SWITCHED_OFF.size(); i++) {
                        session.conf().set((String) SWITCHED_OFF.get(i), "false");
                    }
                    try {
                        return method.invoke(parser, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }
            });
    }

    /**
     * Refuse a setting by which a reader would come to more than tables: another catalogue, another
     * file system below a table (Hadoop takes any name), or a value that Spark fills in from the
     * environment.
     */
    static void checkSetting(String name, String value) {
        if (name.startsWith("spark.sql.catalog.")) {
            throw refusal("other catalogues: " + name);
        }
        boolean isHarmless = name.startsWith("spark.") || name.startsWith("sparkify.")
            || name.startsWith("hive.server2.");
        if (!isHarmless || SWITCHED_OFF.contains(name) || value.contains("${")) {
            throw refusal("this setting: " + name);
        }
    }

    /** A setting as the server was started with, whatever a client has made of it; empty if unset. */
    static String ofServer(SparkSession session, String name) {
        return session.sparkContext().getConf().get(name, System.getProperty(name, ""));
    }

    /** Refuse an analysed plan that runs a program or, for a reader, does more than read tables. */
    static void check(LogicalPlan plan, boolean isReader) {
        String name = plan.getClass().getSimpleName();
        if (name.equals("ScriptTransformation")) {
            refuseProgram("transform ... using");
        }
        if (isReader) {
            if (plan instanceof Command ? !mayRun(name) : isDelta(plan)) {
                throw refusal(name);
            }
            if (name.equals("DescribeDeltaHistoryCommand")
                    && ((Table) plan.productElement(0)).name().contains("/")) {
                throw refusal("files: " + name);
            }
            if (plan instanceof SetCommand && ((SetCommand) plan).kv().isDefined()) {
                Tuple2 set = (Tuple2) ((SetCommand) plan).kv().get();
                if (((Option) set._2()).isDefined()) {
                    checkSetting((String) set._1(), (String) ((Option) set._2()).get());
                }
            }
            if (plan.children().isEmpty() && !(plan instanceof Command) && !mayRead(plan, name)) {
                throw refusal("files, the log, and other sources: " + name);
            }
        }
        checkExpressions(plan.expressions(), isReader);
        checkAll(plan.children(), isReader);
        checkAll(plan.subqueries(), isReader);
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

    static boolean mayRead(LogicalPlan source, String name) {
        if (source instanceof LogicalRelation) {
            LogicalRelation read = (LogicalRelation) source;
            if (read.catalogTable().isEmpty()) {
                return isDeltaInWarehouse(read.relation());
            }
            CatalogTable table = (CatalogTable) read.catalogTable().get();
            return !isLog(table.identifier().database()) && hasOwnOptions(read.relation(), table);
        }
        if (source instanceof HiveTableRelation) {
            return !isLog(((HiveTableRelation) source).tableMeta().identifier().database());
        }
        // What a command names, such as the table that is described.
        return SOURCES.contains(name) || name.startsWith("Resolved");
    }

    /** Whether a schema is that of the log as it was written, which has the names of people. */
    static boolean isLog(Option schema) {
        return schema.isDefined() && ((String) schema.get()).endsWith("_raw");
    }

    /**
     * Whether a table is read with no options but its own and those of its format: with others, as
     * in `from t with (...)`, Hadoop would take another file system, or a validator a file.
     */
    static boolean hasOwnOptions(Object relation, CatalogTable table) {
        if (!(relation instanceof HadoopFsRelation)) {
            return true;
        }
        String own = (table.storage().properties().keySet() + " " + table.properties().keySet())
            .toLowerCase();
        Iterator names = CollectionConverters.asJava(
            ((HadoopFsRelation) relation).options()).keySet().iterator();
        while (names.hasNext()) {
            String name = ((String) names.next()).toLowerCase();
            if ((name.contains(".") || name.contains("xsdpath")) && !own.contains(name)) {
                return false;
            }
        }
        return true;
    }

    /** A Delta table has lost its name by now: those of the catalogue lie in the warehouse. */
    static boolean isDeltaInWarehouse(Object relation) {
        if (!(relation instanceof HadoopFsRelation)) {
            return false;
        }
        HadoopFsRelation files = (HadoopFsRelation) relation;
        if (!files.location().getClass().getName().startsWith("org.apache.spark.sql.delta.")) {
            return false;
        }
        // With its file system: another one may have the same folder.
        String warehouse =
            new Path(ofServer(SparkSession.active(), "spark.sql.warehouse.dir")) + "/";
        Iterator roots = CollectionConverters.asJava((Iterable) files.location().rootPaths())
            .iterator();
        while (roots.hasNext()) {
            String root = roots.next().toString();
            if (!root.startsWith(warehouse) || root.contains("_raw.db/")) {
                return false;
            }
        }
        return true;
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
                refuseProgram(expression.prettyName());
            }
            if (isReader && expression instanceof XmlToStructs
                    && ((XmlToStructs) expression).options().toString().toLowerCase()
                        .contains("xsdpath")) {
                throw refusal("files: " + expression.prettyName());
            }
            checkExpressions(expression.children(), isReader);
        }
    }

    static void refuseProgram(String what) {
        if (!"1".equals(System.getenv("SPARKIFY_PROGRAMS"))) {
            throw new SecurityException(
                what + " runs a program on the server; it is refused unless the server was started"
                + " with `sparkify serve --allow-programs`");
        }
    }

    static SecurityException refusal(String what) {
        return new SecurityException(
            "the reader's token only reads tables, it may not do this: " + what);
    }
}
