//! The dashboard in a real browser, over the real program: `cargo test -p server --test dashboard -- --ignored`.
#![cfg(not(feature = "loom"))]

mod browser;
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use browser::{Browser, Screen};
use common::Node;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thirtyfour::Key;

const LIVE: &str = "document.querySelector('#connection').dataset.state === 'live'";

/// Threads that put items into `users` until dropped.
struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(node: &Node, threads: usize) -> Self {
        node.create_table("users");
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |thread: usize| {
            let (stop, url) = (Arc::clone(&stop), node.url.clone());
            std::thread::spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let path =
                        format!("{url}/api/v1/tables/users/items/user-{thread}-{number}?consistency=strong");
                    agent.put(path).send("{\"name\":\"User\",\"age\":30}").unwrap();
                }
            })
        };
        Self { threads: (0..threads).map(spawn).collect(), stop }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A failed put has failed the test's own figures already.
            let _ = thread.join();
        }
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn figures_move_under_load_and_the_console_stays_silent() {
    let node = Node::start(&[]);
    let browser = Browser::open(Screen::Desktop, &node.url).await;
    browser.until(LIVE).await;
    browser.until("document.querySelector('#view-live').innerText.includes('No table yet')").await;
    assert_eq!(browser.value("document.querySelector('#fact-node').textContent").await, json!("node-1"));

    let load = Load::start(&node, 4);
    browser.until("parseFloat(document.querySelector('#tile-rate').textContent) > 0").await;
    browser
        .until("parseFloat(document.querySelector('tr[data-operation=put_item] td')?.textContent) > 0")
        .await;
    browser.until("document.querySelectorAll('[data-table=users] td[role=gridcell]').length >= 16").await;
    let lines = "document.querySelector('figure .plot path.series-0')?.getAttribute('d')";
    browser.until(&format!("({lines}?.match(/L/g) ?? []).length >= 3")).await;
    let before = browser.value(lines).await;
    browser.until(&format!("{lines} !== {before}")).await;
    drop(load);
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}

/// The shade of each cell of the lock's row, and the milliseconds waited at locks and latches, over some seconds:
/// the highest of each.
async fn waits(preset: &str) -> (u64, f64, f64) {
    let node = Node::start(&["--preset", preset]);
    let browser = Browser::open(Screen::Desktop, &node.url).await;
    let load = Load::start(&node, 16);
    browser.until("parseFloat(document.querySelector('#tile-rate').textContent) > 0").await;
    browser.until("document.querySelector('[data-table=users] tr.lock td')").await;
    let (mut shade, mut lock, mut latch) = (0, 0.0_f64, 0.0_f64);
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shades = "[...document.querySelectorAll('tr.lock td')].map((td) => Number(td.className.at(-1)))";
        shade = shade.max(browser.value(&format!("Math.max(...{shades})")).await.as_u64().unwrap());
        let verdict =
            browser.value("Object.values(document.querySelector('#verdict').dataset).map(Number)").await;
        lock = lock.max(verdict[0].as_f64().unwrap());
        latch = latch.max(verdict[1].as_f64().unwrap());
    }
    drop(load);
    browser.close().await;
    (shade, lock, latch)
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn the_heat_map_shows_the_baseline_queue_and_the_latched_tree_not() {
    let (shade, lock, _) = waits("baseline").await;
    assert!(
        shade >= 5,
        "16 writers at one lock wait for more than a second a second, not {lock} ms (shade {shade})"
    );
    let (latched_shade, latched_lock, latch) = waits("option4").await;
    assert_eq!((latched_shade, latched_lock), (0, 0.0), "no lock, so nobody waits for it");
    assert!(latch < lock / 4.0, "{latch} ms/s at latches, {lock} ms/s at the lock");
}

fn stored(node: &Node, path: &str) -> Value {
    node.get(path).json()["item"].clone()
}

/// Opens the first item of the list by keyboard and waits until its text is there.
async fn open_first(browser: &Browser) {
    browser.tab_to("table.items a").await;
    browser.press(Key::Enter).await;
    browser.until("document.querySelector('dialog.item #item-text')?.value.includes('\\n')").await;
    assert_eq!(browser.value("document.activeElement.id").await, json!("item-text"));
}

async fn type_over(browser: &Browser, text: &str) {
    browser.press_control("a").await;
    browser.press(text).await;
}

const NO_DIALOG: &str = "!document.querySelector('dialog')";

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn tables_and_items_are_made_edited_and_deleted_by_keyboard() {
    let node = Node::start(&[]);
    let browser = Browser::open(Screen::Desktop, &format!("{}/#/data", node.url)).await;
    browser.until("document.body.innerText.includes('Create the first one')").await;
    browser.tab_to("#new-table").await;
    browser.press("users").await;
    browser.press(Key::Enter).await;
    browser.until("document.querySelector('#items-title').textContent === 'users'").await;

    // A key that an address would take apart.
    browser.tab_to("#insert").await;
    browser.press(Key::Enter).await;
    browser.tab_to("#item-key").await;
    browser.press("a/b #1?%").await;
    browser.press(Key::Tab).await;
    type_over(&browser, "{\"age\": 12345678901234567890").await;
    browser.press_control(Key::Enter).await;
    browser.until("document.querySelector('#item-check').textContent.startsWith('Not JSON')").await;
    browser.press("}").await;
    browser.press_control(Key::Enter).await;
    browser.until(NO_DIALOG).await;
    let path = "/api/v1/tables/users/items/a%2Fb%20%231%3F%25";
    assert!(node.get(path).text().contains("12345678901234567890"), "no digit may be lost");

    browser.until("document.querySelector('table.items a')?.textContent === 'a/b #1?%'").await;
    open_first(&browser).await;
    assert!(
        browser
            .value("document.querySelector('#item-text').value")
            .await
            .to_string()
            .contains("78901234567890")
    );
    type_over(&browser, "{\"age\":31}").await;
    browser.press_control(Key::Enter).await;
    browser.until(NO_DIALOG).await;
    assert_eq!(stored(&node, path), json!({ "age": 31 }));

    open_first(&browser).await;
    browser.tab_to("#delete").await;
    browser.press(Key::Enter).await;
    browser.until(NO_DIALOG).await;
    node.get(path).error(404);

    browser.tab_to("[aria-label='Drop users']").await;
    browser.press(Key::Enter).await;
    browser.press("user").await;
    browser.press(Key::Enter).await;
    browser.until("document.querySelector('dialog .error').textContent.includes('not the name')").await;
    assert_eq!(node.get("/api/v1/tables/users/count").status, 200);
    browser.tab_to("#drop-name").await;
    type_over(&browser, "users").await;
    browser.press(Key::Enter).await;
    browser.until(NO_DIALOG).await;
    node.get("/api/v1/tables/users/count").error(404);
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn a_change_of_somebody_else_is_shown_and_not_overwritten_unasked() {
    let node = Node::start(&[]);
    node.create_table("users");
    let path = "/api/v1/tables/users/items/user-1";
    node.put(path, "{\"age\":1}");
    let browser = Browser::open(Screen::Desktop, &format!("{}/#/data/users", node.url)).await;
    browser.until("document.querySelector('table.items a')").await;
    open_first(&browser).await;
    node.put(path, "{\"age\":2}");
    type_over(&browser, "{\"age\":3}").await;
    browser.press_control(Key::Enter).await;
    browser
        .until("document.querySelector('.conflict:not([hidden]) pre')?.textContent.includes('\"age\": 2')")
        .await;
    assert_eq!(stored(&node, path), json!({ "age": 2 }));
    browser.press_control(Key::Enter).await;
    browser.until(NO_DIALOG).await;
    assert_eq!(stored(&node, path), json!({ "age": 3 }));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn a_list_is_paged_and_searched_by_prefix() {
    let node = Node::start(&[]);
    node.create_table("users");
    for number in 100..220 {
        node.put(&format!("/api/v1/tables/users/items/user-{number}"), "{}");
    }
    let browser = Browser::open(Screen::Desktop, &format!("{}/#/data/users", node.url)).await;
    let first = |key: &str| format!("document.querySelector('table.items a')?.textContent === '{key}'");
    browser.until(&first("user-100")).await;
    browser.tab_to(".pager button:last-child").await;
    browser.press(Key::Enter).await;
    browser.until(&first("user-150")).await;
    browser.press(Key::Enter).await;
    browser.until(&first("user-200")).await;
    browser.until("document.querySelector('.pager button:last-child').disabled").await;
    assert_eq!(browser.value("document.querySelectorAll('table.items a').length").await, json!(20));
    browser.tab_to("#prefix").await;
    browser.press("user-11").await;
    browser.until(&first("user-110")).await;
    assert_eq!(browser.value("document.querySelectorAll('table.items a').length").await, json!(10));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn the_theme_follows_the_system_and_the_button() {
    let node = Node::start(&[]);
    let luminance = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)\
        .reduce((a, b) => a + b) / 3";
    for (screen, light) in [(Screen::Desktop, true), (Screen::DarkDesktop, false)] {
        let browser = Browser::open(screen, &node.url).await;
        browser.until(LIVE).await;
        let seen = browser.value(luminance).await.as_f64().unwrap();
        assert_eq!(seen > 128.0, light, "{screen:?}: {seen}");
        browser.tab_to("#theme").await;
        browser.press(Key::Enter).await; // light
        browser.until(&format!("{luminance} > 128")).await;
        browser.press(Key::Enter).await; // dark
        browser.until(&format!("{luminance} < 128")).await;
        browser.driver.refresh().await.unwrap();
        browser.until(&format!("{luminance} < 128")).await;
        browser.close().await;
    }
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn a_phone_shows_everything_without_scrolling_sideways() {
    let node = Node::start(&[]);
    for table in ["users", "products", "orders"] {
        node.create_table(table);
        node.put(
            &format!("/api/v1/tables/{table}/items/a-key-of-some-length-{table}"),
            "{\"name\":\"User\"}",
        );
    }
    let browser = Browser::open(Screen::Phone, &node.url).await;
    browser.until("document.querySelectorAll('[data-table]').length === 3").await;
    let views = ["#/", "#/data", "#/data/users", "#/data/users/a-key-of-some-length-users"];
    for view in views {
        browser.value(&format!("(location.hash = '{view}')")).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let width = browser.value("[document.documentElement.scrollWidth, innerWidth]").await;
        assert_eq!(width, json!([360, 360]), "{view}");
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn a_token_is_asked_for_once_and_opens_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.toml");
    let digest: String = Sha256::digest(b"open sesame").iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&file, format!("[[token]]\nname = \"viewer\"\nrole = \"read\"\nsha256 = \"{digest}\"\n"))
        .unwrap();
    let node = Node::start(&["--tokens", file.to_str().unwrap()]);
    let browser = Browser::open(Screen::Desktop, &node.url).await;
    browser.until("document.activeElement.id === 'token'").await;
    browser.press("wrong").await;
    browser.press(Key::Enter).await;
    browser.until("document.querySelector('dialog')?.textContent.includes('not accepted')").await;
    browser.press("open sesame").await;
    browser.press(Key::Enter).await;
    browser.until(LIVE).await;
    let uptime = "document.querySelector('#fact-up').textContent";
    let before = browser.value(uptime).await;
    browser.until(&format!("{uptime} !== {before}")).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium and chromium-driver"]
async fn figures_of_a_node_that_is_gone_are_shown_as_old() {
    let mut node = Node::start(&[]);
    let browser = Browser::open(Screen::Desktop, &node.url).await;
    browser.until(LIVE).await;
    node.kill();
    browser.until("document.querySelector('#connection').dataset.state === 'lost'").await;
    browser.until("document.querySelector('#age').textContent.includes('old')").await;
    assert_eq!(browser.value("document.body.classList.contains('stale')").await, json!(true));
    browser.close().await;
}
