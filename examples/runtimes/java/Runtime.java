import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A Lambda runtime on java.net.http.HttpClient with its default settings, in one file.
 *
 * The last argument (or _HANDLER) is Class.method, a method
 * {@code public static String name(String event, Map<String, String> context)} on the class path:
 * JSON in, JSON out. The context is what the headers of the event say, named in lower case and
 * without "lambda-runtime-": aws-request-id, deadline-ms, invoked-function-arn, trace-id, ...
 */
public final class Runtime {
    private static final String PREFIX = "lambda-runtime-";

    private final HttpClient http = HttpClient.newHttpClient();
    private final String api;

    private Runtime(String address) {
        api = "http://" + address + "/2018-06-01/runtime/";
    }

    public static void main(String[] arguments) throws Exception {
        String handler =
                arguments.length > 0 ? arguments[arguments.length - 1] : System.getenv("_HANDLER");
        new Runtime(System.getenv("AWS_LAMBDA_RUNTIME_API")).run(handler);
    }

    private void run(String handler) throws Exception {
        Method method = null;
        try {
            method = find(handler);
        } catch (Throwable problem) {
            fail("init/error", rootOf(problem), Map.of());
            // Not a return: threads of the HTTP client would keep the process alive.
            System.exit(1);
        }
        while (true) {
            invoke(method);
        }
    }

    private static Method find(String handler) throws ReflectiveOperationException {
        int dot = handler.lastIndexOf('.');
        return Class.forName(handler.substring(0, dot))
                .getMethod(handler.substring(dot + 1), String.class, Map.class);
    }

    private void invoke(Method method) throws Exception {
        // No timeout: the environment may be frozen for hours while this waits.
        HttpResponse<byte[]> next =
                http.send(request("invocation/next").build(), HttpResponse.BodyHandlers.ofByteArray());
        if (next.statusCode() != 200) {
            System.err.println("The Runtime API answered " + next.statusCode());
            System.exit(1);
        }
        Map<String, String> context = contextOf(next.headers());
        String path = "invocation/" + context.get("aws-request-id");
        String event = new String(next.body(), StandardCharsets.UTF_8);
        try {
            post(path + "/response", (String) method.invoke(null, event, context), context);
        } catch (InvocationTargetException problem) {
            fail(path + "/error", rootOf(problem), context);
        }
    }

    private static Map<String, String> contextOf(HttpHeaders headers) {
        Map<String, String> context = new HashMap<>();
        headers.map().forEach((name, values) -> {
            if (name.toLowerCase().startsWith(PREFIX)) {
                context.put(name.toLowerCase().substring(PREFIX.length()), values.get(0));
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
        String trace =
                Arrays.stream(problem.getStackTrace()).map(quote).collect(Collectors.joining(", "));
        String body =
                "{\"errorMessage\": " + quote.apply(problem.getMessage())
                        + ", \"errorType\": " + quote.apply(problem.getClass().getSimpleName())
                        + ", \"stackTrace\": [" + trace + "]}";
        post(path, body, context);
    }

    private void post(String path, String body, Map<String, String> context) throws Exception {
        HttpRequest.Builder request =
                request(path)
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body, StandardCharsets.UTF_8));
        if (context.containsKey("invocation-id")) {
            request.header("Lambda-Runtime-Invocation-Id", context.get("invocation-id"));
        }
        HttpResponse<String> answer =
                http.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 202) {
            System.err.println(path + ": " + answer.statusCode() + " " + answer.body().strip());
        }
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(api + path));
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
