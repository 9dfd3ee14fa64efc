//! Web application on axum whose own handlers call functions.

#![expect(clippy::print_stdout, reason = "it is what an example is for")]

use std::error::Error;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use crisol::{CallError, ErrorKind, Runtime, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Response to a failed call: the client's own mistakes in full, no internal details.
struct Failed(CallError);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Saturated | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.public_message()).into_response()
    }
}

/// Calls a function whose types the program knows.
async fn product(
    State(runtime): State<Runtime>,
    Path((a, b)): Path<(i32, i32)>,
) -> Result<String, Failed> {
    let product: i32 = runtime.call("myns:compute", (a, b)).await.map_err(Failed)?;
    Ok(product.to_string())
}

/// Calls any function with a JSON array of arguments.
async fn call(
    State(runtime): State<Runtime>,
    Path(id): Path<String>,
    Json(args): Json<Vec<Value>>,
) -> Result<Json<Value>, Failed> {
    Ok(Json(runtime.call_values(&id, args).await.map_err(Failed)?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/tour");
    // Cloning a runtime is cheap: axum gives each request a clone.
    let runtime = Runtime::builder().app(app).load()?;
    let router = Router::new()
        .route("/product/{a}/{b}", get(product))
        .route("/call/{id}", post(call))
        .with_state(runtime);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    for (line, body) in [
        ("GET /product/6/7", ""),
        ("POST /call/myns:compute", "[6, 7]"),
        ("POST /call/myns:compute", "[6, null]"),
    ] {
        let mut stream = TcpStream::connect(addr).await?;
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("{answer}\n");
    }
    server.abort();
    Ok(())
}
