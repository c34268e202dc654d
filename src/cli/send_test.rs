//! `tidings send-test`

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::args::Form;
use super::columns::columns;
use super::{DONE, Ended, FAILED, Failure, Global, output};
use crate::control::{self, RunOptions, Workspace};
use crate::model::{Command, OperatorCommand};
use crate::status::plain;

/// How long connecting, looking up and sending may take.
const WAIT: Duration = Duration::from_secs(90);
/// A daemon that starts listens within this.
const STARTS: Duration = Duration::from_secs(3);
/// The pause between two looks.
const EVERY: Duration = Duration::from_millis(200);

/// `tidings send-test`
#[derive(Debug, Args)]
pub struct SendTestArgs {
    /// The campaign
    #[arg(value_name = "NAME")]
    pub name: String,
    /// One of `test_recipients` of tidings.yaml; @me is the account itself
    #[arg(long, value_name = "PERSON")]
    pub to: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

pub(super) fn run(global: &Global, args: &SendTestArgs) -> Ended {
    let workspace = global.workspace()?;
    if control::is_running(&workspace)? {
        return ask(&workspace, args);
    }
    // An engine of this command's own, that plans nothing.
    let stop = Arc::new(tokio::sync::Notify::new());
    let options = RunOptions {
        stop: Some(Arc::clone(&stop)),
        idle: true,
        ..RunOptions::default()
    };
    let engine = {
        let workspace = workspace.clone();
        std::thread::spawn(move || control::run(workspace, options))
    };
    let since = Instant::now();
    let ended = loop {
        if engine.is_finished() {
            // The state may be with a daemon that was just starting: it answers in a moment.
            while since.elapsed() < STARTS {
                if control::is_running(&workspace)? {
                    return ask(&workspace, args);
                }
                std::thread::sleep(EVERY);
            }
            return match engine.join() {
                Ok(Ok(_)) => Err(Failure::new("the engine ended before the test")),
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(Failure::new("the engine broke off")),
            };
        }
        if control::is_running(&workspace)? {
            break ask(&workspace, args);
        }
        if since.elapsed() > WAIT {
            break Err(Failure::new("the engine did not start in time"));
        }
        std::thread::sleep(EVERY);
    };
    stop.notify_one();
    let _ = engine.join();
    ended
}

fn ask(workspace: &Workspace, args: &SendTestArgs) -> Ended {
    let since = Instant::now();
    let started = loop {
        let body = super::document(
            workspace,
            Command::Operator(OperatorCommand::SendTest {
                name: args.name.clone(),
                to: args.to.clone(),
                by: super::operator(),
            }),
        )?;
        let Some(what) = body["waiting"].as_str() else {
            break body;
        };
        if since.elapsed() > WAIT {
            return Err(Failure::new(format!(
                "nothing was sent: it still waits for {}",
                plain(what)
            )));
        }
        std::thread::sleep(EVERY);
    };
    let number = u32::try_from(started["test"].as_u64().unwrap_or(0)).unwrap_or(0);
    let after = started["after"].as_u64().unwrap_or(0);
    let state = loop {
        let body = super::document(
            workspace,
            Command::Operator(OperatorCommand::TestState { number, after }),
        )?;
        if body["open"] != true || since.elapsed() > WAIT {
            break body;
        }
        std::thread::sleep(EVERY);
    };
    let results = state["results"].as_array().cloned().unwrap_or_default();
    let messages: Vec<Value> = started["messages"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .map(|mut message| {
            let result = results.iter().find(|r| r["place"] == message["place"]);
            let error = message["error"].as_str().map(str::to_owned);
            let (word, detail) = match (&error, result) {
                (Some(error), _) => ("template_error".to_owned(), error.clone()),
                (None, Some(result)) => (
                    result["result"].as_str().unwrap_or_default().to_owned(),
                    result["detail"].as_str().unwrap_or_default().to_owned(),
                ),
                (None, None) => ("not_sent".to_owned(), "the account cannot send".to_owned()),
            };
            if let Some(message) = message.as_object_mut() {
                message.remove("error");
                message.remove("place");
                message.insert("result".to_owned(), word.into());
                message.insert("detail".to_owned(), detail.into());
            }
            message
        })
        .collect();
    let fine = messages.iter().all(|message| message["result"] == "sent");
    match args.output {
        Form::Json => output::json(&serde_json::json!({
            "format_version": crate::status::FORMAT_VERSION,
            "campaign": args.name,
            "account": started["account"],
            "to": args.to,
            "messages": messages,
        }))?,
        Form::Table => {
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let rows: Vec<Vec<String>> = messages
                .iter()
                .map(|message| {
                    ["step", "variant", "result", "detail"]
                        .iter()
                        .map(|column| text(&message[*column]))
                        .collect()
                })
                .collect();
            output::text(&columns(
                &["STEP", "VARIANT", "RESULT", "DETAIL"],
                &rows,
                output::look(false).width,
            ))?;
        }
    }
    Ok(if fine { DONE } else { FAILED })
}
