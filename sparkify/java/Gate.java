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
import java.util.WeakHashMap;
import javax.security.sasl.AuthenticationException;
import org.apache.hadoop.fs.Path;
import org.apache.hive.service.auth.PasswdAuthenticationProvider;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.SparkSessionExtensions;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.parser.ParserInterface;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import scala.Option;
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
        "HiveTableRelation", "UnionLoopRef", "LogicalRDD", "ExternalRDD", "InMemoryRelation",
    });
    private static final List COMMANDS = Arrays.asList(new String[] {
        "ExplainCommand", "SetCommand", "ResetCommand", "SetNamespaceCommand",
        "SetCatalogAndNamespace",
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

    /** A parser that refuses where the session has a catalogue of the client's. */
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
                        if (name.startsWith("spark.sql.catalog.")
                                && !each.getValue().equals(ofServer(session, name))) {
                            throw refusal("other catalogues: " + name);
                        }
                    }
                    try {
                        return method.invoke(parser, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }
            });
    }

    /** A setting as the server was started with, whatever a client has made of it; empty if unset. */
    static String ofServer(SparkSession session, String name) {
        return session.sparkContext().getConf().get(name, "");
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
            if (plan.children().isEmpty() && !(plan instanceof Command) && !mayRead(plan, name)) {
                throw refusal("files, the log, and other sources: " + name);
            }
        }
        checkExpressions(plan.expressions());
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
            return read.catalogTable().isDefined()
                ? !isLog(((CatalogTable) read.catalogTable().get()).identifier().database())
                : isDeltaInWarehouse(read.relation());
        }
        // What a command names, such as the table that is described.
        return SOURCES.contains(name) || name.startsWith("Resolved");
    }

    /** Whether a schema is that of the log as it was written, which has the names of people. */
    static boolean isLog(Option schema) {
        return schema.isDefined() && ((String) schema.get()).endsWith("_raw");
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
        String warehouse = new Path(ofServer(SparkSession.active(), "spark.sql.warehouse.dir"))
            .toUri().getPath() + "/";
        Iterator roots = CollectionConverters.asJava((Iterable) files.location().rootPaths())
            .iterator();
        while (roots.hasNext()) {
            if (!((Path) roots.next()).toUri().getPath().startsWith(warehouse)) {
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

    static void checkExpressions(Iterable expressions) {
        Iterator each = CollectionConverters.asJava(expressions).iterator();
        while (each.hasNext()) {
            Expression expression = (Expression) each.next();
            if (expression.getClass().getSimpleName().contains("Reflect")) {
                refuseProgram(expression.prettyName());
            }
            checkExpressions(expression.children());
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
