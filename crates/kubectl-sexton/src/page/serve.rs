//! The page over HTTP, made anew when somebody looks and it is old.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sexton_page::ClusterView;
use sexton_web::{Answer, Asked, Hosts, Site};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::{look, now};
use crate::connect::Connected;
use crate::output::safe_lines;

/// From the connection to the last byte of the answer: a large cluster is read meanwhile.
const WITHIN: Duration = Duration::from_secs(60);

/// What was seen last, and how to see more.
struct Shown {
    at: Connected,
    refresh: u32,
    last: Mutex<(Instant, ClusterView)>,
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, at: Connected, first: ClusterView, refresh: u32) {
    let shown = Arc::new(Shown {
        at,
        refresh,
        last: Mutex::new((Instant::now(), first)),
    });
    let site = Site {
        hosts: Hosts::default(),
        within: WITHIN,
    };
    sexton_web::serve(listener, site, move |asked| answer(asked, shown.clone())).await;
}

async fn answer(asked: Asked, shown: Arc<Shown>) -> Answer {
    if asked.path != "/" {
        return Answer::text(404, "not found: /\n");
    }
    // Without the `refresh`: whoever reads a long page wants it to hold still.
    let hold = asked.query.as_deref() == Some("hold");
    Answer::page(shown.page((!hold).then_some(shown.refresh)).await)
}

impl Shown {
    /// The page; several browsers at once ask the API server only once.
    async fn page(&self, refresh: Option<u32>) -> String {
        let mut last = self.last.lock().await;
        let (when, view) = &mut *last;
        let mut trouble = None;
        if when.elapsed() >= Duration::from_secs(u64::from(self.refresh) / 2) {
            match look(&self.at).await {
                Ok(fresh) => (*when, *view) = (Instant::now(), fresh),
                Err(error) => trouble = Some(safe_lines(&error.to_string())),
            }
        }
        let mut view = view.clone();
        drop(last);
        view.now = now();
        view.refresh = refresh;
        view.gaps
            .extend(trouble.map(|why| format!("Refresh failed: {why}")));
        sexton_page::cluster(&view)
    }
}
