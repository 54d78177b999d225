import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A Lambda runtime on java.net.http.HttpClient, in one file.
 *
 * The last argument (or _HANDLER) is Class.method, a method
 * {@code public static String name(String event, Map<String, String> context)} on the class path:
 * JSON in, JSON out. The context is what the headers of the event say, named in lower case and
 * without "lambda-runtime-": aws-request-id, deadline-ms, invoked-function-arn, trace-id, ...
 */
public final class Runtime {
    private static final String PREFIX = "lambda-runtime-";
    // Where Java looks for the trace: it cannot change its own environment variables.
    private static final String TRACE = "com.amazonaws.xray.traceHeader";

    // No proxy lies between a runtime and its API, whatever the machine's settings say.
    private final HttpClient http =
            HttpClient.newBuilder().proxy(HttpClient.Builder.NO_PROXY).build();
    private final String address;

    private Runtime(String address) {
        this.address = address;
    }

    public static void main(String[] arguments) {
        String handler =
                arguments.length > 0 ? arguments[arguments.length - 1] : System.getenv("_HANDLER");
        try {
            new Runtime(System.getenv("AWS_LAMBDA_RUNTIME_API")).run(handler);
        } catch (Throwable problem) {
            problem.printStackTrace();
        }
        // Not a return: threads of the function's could keep the process alive.
        System.exit(1);
    }

    private void run(String handler) throws Exception {
        Method method;
        try {
            method = find(handler);
        } catch (Throwable problem) {
            fail("init/error", rootOf(problem), Map.of());
            return;
        }
        while (true) {
            invoke(method);
        }
    }

    private static Method find(String handler) throws ReflectiveOperationException {
        int dot = handler == null ? -1 : handler.lastIndexOf('.');
        if (dot < 1) {
            throw new IllegalArgumentException("\"" + handler + "\" is not Class.method");
        }
        // Loading the class runs its static initializers: the function's own start.
        Method method =
                Class.forName(handler.substring(0, dot))
                        .getMethod(handler.substring(dot + 1), String.class, Map.class);
        if (method.getReturnType() != String.class) {
            throw new NoSuchMethodException(handler + " does not return a String");
        }
        return method;
    }

    private void invoke(Method method) throws Exception {
        // No timeout: the environment may be frozen for hours while this waits.
        HttpResponse<byte[]> next =
                http.send(request("invocation/next").build(), HttpResponse.BodyHandlers.ofByteArray());
        Map<String, String> context = contextOf(next.headers());
        String id = context.get("aws-request-id");
        if (next.statusCode() != 200 || id == null) {
            throw new IllegalStateException("The Runtime API sent no event: " + next.statusCode());
        }
        setTrace(context.get("trace-id"));
        String event = new String(next.body(), StandardCharsets.UTF_8);
        String path = "invocation/" + id;
        if (event.isEmpty()) {
            fail(path + "/error", new IllegalArgumentException("The event is empty"), context);
            return;
        }
        try {
            Object answer = method.invoke(null, event, context);
            post(path + "/response", Objects.toString(answer, "null"), context, "");
        } catch (InvocationTargetException problem) {
            fail(path + "/error", rootOf(problem), context);
        }
    }

    private static void setTrace(String trace) {
        if (trace == null) {
            System.clearProperty(TRACE);
        } else {
            System.setProperty(TRACE, trace);
        }
    }

    private static Map<String, String> contextOf(HttpHeaders headers) {
        Map<String, String> context = new HashMap<>();
        headers.map().forEach((name, values) -> {
            if (name.toLowerCase().startsWith(PREFIX)) {
                // Java reads headers as Latin-1, they are UTF-8.
                byte[] value = values.get(0).getBytes(StandardCharsets.ISO_8859_1);
                context.put(
                        name.toLowerCase().substring(PREFIX.length()),
                        new String(value, StandardCharsets.UTF_8));
            }
        });
        return context;
    }

    /** The user's own exception, without those that reflection and class loading put around it. */
    private static Throwable rootOf(Throwable problem) {
        boolean wrapped =
                problem instanceof InvocationTargetException
                        || problem instanceof ExceptionInInitializerError;
        return wrapped && problem.getCause() != null ? rootOf(problem.getCause()) : problem;
    }

    private void fail(String path, Throwable problem, Map<String, String> context)
            throws Exception {
        problem.printStackTrace();
        Function<Object, String> quote = value -> quoted(String.valueOf(value));
        String type = problem.getClass().getSimpleName();
        String trace =
                Arrays.stream(problem.getStackTrace()).map(quote).collect(Collectors.joining(", "));
        String body =
                "{\"errorMessage\": " + quote.apply(Objects.toString(problem.getMessage(), type))
                        + ", \"errorType\": " + quote.apply(type)
                        + ", \"stackTrace\": [" + trace + "]}";
        // A category and a reason; the log's REPORT line shows it.
        post(path, body, context, "Function." + type.replaceAll("[^A-Za-z]", ""));
    }

    private void post(String path, String body, Map<String, String> context, String errorType)
            throws Exception {
        // What the function printed belongs to this invocation's part of the log.
        System.out.flush();
        System.err.flush();
        HttpRequest.Builder request =
                request(path)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body, StandardCharsets.UTF_8));
        if (!errorType.isEmpty()) {
            request.header("Lambda-Runtime-Function-Error-Type", errorType);
        }
        if (context.containsKey("invocation-id")) {
            request.header("Lambda-Runtime-Invocation-Id", context.get("invocation-id"));
        }
        HttpResponse<String> answer =
                http.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 202) {
            // Nothing can be done about it: the next event may do better.
            System.err.println(path + ": " + answer.statusCode() + " " + answer.body().strip());
        }
    }

    private HttpRequest.Builder request(String path) throws URISyntaxException {
        // A request id may be any text; this constructor quotes what a path may not have.
        return HttpRequest.newBuilder(
                new URI("http", address, "/2018-06-01/runtime/" + path, null, null));
    }

    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        text.chars().forEach(unit -> {
            if (unit == '"' || unit == '\\') {
                json.append('\\').append((char) unit);
            } else if (unit < ' ') {
                json.append(String.format("\\u%04x", unit));
            } else {
                json.append((char) unit);
            }
        });
        return json.append('"').toString();
    }
}
