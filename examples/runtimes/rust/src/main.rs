//! Functions in Rust, on AWS's own client of the Runtime API.
//!
//! A Rust program is its own runtime: it is named bootstrap, and asks for events itself. It may
//! hold several functions; _HANDLER names the one that is wanted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use std::{env, io, process};

use lambda_runtime::{run, service_fn, Diagnostic, Error, LambdaEvent};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let handler = env::var("_HANDLER").unwrap_or_default();
    match handler.as_str() {
        "greet" => run(service_fn(greet)).await,
        "echo" => run(service_fn(echo)).await,
        "count" => run(service_fn(count)).await,
        "about" => run(service_fn(about)).await,
        other => fail_init(
            "Runtime.HandlerNotFound",
            &format!("no function named {other:?}"),
        ),
    }
}

/// What the caller reads: `errorType` and `errorMessage`.
#[derive(Debug)]
enum Failure {
    NoName,
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoName => Diagnostic {
                error_type: "NoName".into(),
                error_message: r#"The event has no "name""#.into(),
            },
        }
    }
}

#[derive(Deserialize)]
struct Person {
    name: Option<String>,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
}

async fn greet(event: LambdaEvent<Person>) -> Result<Greeting, Failure> {
    let Some(name) = event.payload.name else {
        eprintln!("nobody to greet");
        return Err(Failure::NoName);
    };
    eprintln!("greeting {name} in {}", event.context.request_id);
    Ok(Greeting {
        greeting: format!("Hello, {name}!"),
    })
}

/// Answers with the event, however large.
async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(event.payload)
}

/// What is kept between invocations: statics, for as long as the environment lives.
static CALLS: AtomicU64 = AtomicU64::new(0);

async fn count(_event: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(json!({ "calls": CALLS.fetch_add(1, Ordering::Relaxed) + 1 }))
}

/// What a function knows about its invocation and about itself.
async fn about(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let context = event.context;
    let remaining = context
        .deadline()
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    Ok(json!({
        "requestId": context.request_id,
        "arn": context.invoked_function_arn,
        "traceId": context.xray_trace_id,
        "remainingMs": remaining.as_millis() as u64,
        "clientContext": context.client_context.map(|client| json!({ "custom": client.custom })),
        "name": context.env_config.function_name,
        "version": context.env_config.version,
        "memoryMb": context.env_config.memory,
    }))
}

/// Says why the function cannot start, and ends. The client has no call for it; without one the
/// caller would only hear of an exit status.
fn fail_init(error_type: &str, message: &str) -> ! {
    eprintln!("{error_type}: {message}");
    if let Err(problem) = post_init_error(error_type, message) {
        eprintln!("the Runtime API could not be told: {problem}");
    }
    process::exit(1)
}

fn post_init_error(error_type: &str, message: &str) -> io::Result<()> {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let body =
        json!({ "errorMessage": message, "errorType": error_type, "stackTrace": [] }).to_string();
    let mut api = TcpStream::connect(&address)?;
    write!(
        api,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: {error_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    api.read_to_end(&mut Vec::new())?; // it has been heard when it is answered
    Ok(())
}
