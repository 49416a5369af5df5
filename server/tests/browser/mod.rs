//! A headless Chromium, led through WebDriver (Debian's `chromium` and `chromium-driver`).

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::*;
use thirtyfour::session::http::{Body, HttpClient};
use thirtyfour::{ChromeCapabilities, LoggingPrefsLogLevel};
use ureq::http::{Request, Response};

/// How long a page may take to show what it is expected to. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(100);

/// How the window looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Screen {
    /// 1,440 x 900, light.
    Desktop,
    /// The same for somebody whose system is dark.
    DarkDesktop,
    /// 360 x 740, a small phone.
    Phone,
}

/// A browser with one page; ended when dropped.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    process: Process,
}

/// The driver's process, which ends its browser with itself.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Browser {
    /// A browser that shows `url`.
    pub(crate) async fn open(screen: Screen, url: &str) -> Self {
        let (process, port) = start_driver();
        let driver = WebDriver::builder(format!("http://127.0.0.1:{port}"), capabilities(screen))
            .client(Wire(ureq::Agent::config_builder().http_status_as_error(false).build().into()))
            .connect()
            .await
            .expect("chromedriver should start Chromium");
        driver.goto(url).await.unwrap();
        Self { driver, process }
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Waits until a JavaScript expression holds.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(&format!("Boolean({expression})")).await != json!(true) {
            if Instant::now() > deadline {
                let page = self.value("document.body.innerText").await;
                panic!("never came true: {expression}\nthe page says: {}", page.as_str().unwrap_or(""));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses a key while Control is held.
    pub(crate) async fn press_control(&self, key: impl Into<TypingData>) {
        let chain = self.driver.action_chain().key_down(Key::Control).send_keys(key).key_up(Key::Control);
        chain.perform().await.unwrap();
    }

    /// Presses Tab until the focus is on what the CSS selector names.
    pub(crate) async fn tab_to(&self, selector: &str) {
        for _ in 0..80 {
            if self.value(&format!("document.activeElement.matches({selector:?})")).await == json!(true) {
                return;
            }
            self.press(Key::Tab).await;
        }
        panic!("Tab never comes to {selector}");
    }

    /// What the console has said about errors.
    pub(crate) async fn errors(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        log.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// Ends the browser.
    pub(crate) async fn close(self) {
        self.driver.quit().await.unwrap();
        drop(self.process);
    }
}

fn start_driver() -> (Process, u16) {
    let child =
        Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("chromedriver does not start ({error}); install it: apt-get install chromium chromium-driver")
    });
    let output = BufReader::new(child.stdout.take().unwrap());
    let process = Process(child);
    for line in output.lines().map_while(Result::ok) {
        // "ChromeDriver was started successfully on port 40123."
        if let Some((_, port)) = line.rsplit_once("successfully on port ")
            && let Ok(port) = port.trim_end_matches('.').parse()
        {
            return (process, port);
        }
    }
    panic!("chromedriver ended without saying its port");
}

fn capabilities(screen: Screen) -> ChromeCapabilities {
    let mut wanted = thirtyfour::DesiredCapabilities::chrome();
    let theme = match screen {
        Screen::DarkDesktop => "--blink-settings=preferredColorScheme=0",
        Screen::Desktop | Screen::Phone => "--blink-settings=preferredColorScheme=1",
    };
    for argument in [
        "--headless=new",
        "--no-sandbox", // as root in a container there is none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--window-size=1440,900",
        theme,
    ] {
        wanted.add_arg(argument).unwrap();
    }
    if matches!(screen, Screen::Phone) {
        let metrics = json!({ "width": 360, "height": 740, "pixelRatio": 2.0, "touch": true });
        wanted.add_experimental_option("mobileEmulation", json!({ "deviceMetrics": metrics })).unwrap();
    }
    wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    wanted
}

/// The driver is spoken to by the HTTP client that the tests use anyway.
#[derive(Clone)]
struct Wire(ureq::Agent);

type Answer<'r, T> = Pin<Box<dyn Future<Output = T> + Send + 'r>>;

impl HttpClient for Wire {
    fn send<'s, 'b, 'r>(
        &'s self,
        request: Request<Body<'b>>,
    ) -> Answer<'r, thirtyfour::error::WebDriverResult<Response<Bytes>>>
    where
        's: 'r,
        'b: 'r,
        Self: 'r,
    {
        let agent = self.0.clone();
        let request = request.map(|body| match body {
            Body::Empty => Vec::new(),
            Body::Json(value) => value.to_string().into_bytes(),
        });
        Box::pin(async move {
            let call = tokio::task::spawn_blocking(move || {
                let response = agent.run(request)?;
                let (head, mut body) = response.into_parts();
                Ok::<_, ureq::Error>(Response::from_parts(head, Bytes::from(body.read_to_vec()?)))
            });
            call.await.unwrap().map_err(|error| WebDriverErrorInner::HttpError(error.to_string()).into())
        })
    }

    fn new<'s, 'r>(&'s self) -> Answer<'r, Arc<dyn HttpClient>>
    where
        's: 'r,
        Self: 'r,
    {
        Box::pin(async move { Arc::new(self.clone()) as Arc<dyn HttpClient> })
    }
}
