//! Scopes around futures.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Flow, scope};

/// A future whose every poll is a scope, on whatever thread it is polled.
///
/// A guard held across an `.await` would charge a task with the time other tasks run in between
/// and close on the wrong thread. Here the scope lasts as long as each poll: `calls` counts polls
/// and the time is the time the task was really running. In a trace, a flow joins the polls.
///
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Waker};
/// lob_scope::enable(true);
/// let mut task = pin!(lob_scope::ScopedFuture::new("answer", async { 42 }));
/// let poll = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
/// assert_eq!(poll, std::task::Poll::Ready(42));
/// assert_eq!(lob_scope::take_scopes()[0].calls, 1);
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ScopedFuture<F> {
    name: &'static str,
    flow: Option<Flow>,
    future: F,
}

impl<F> ScopedFuture<F> {
    /// Wraps a future.
    pub const fn new(name: &'static str, future: F) -> Self {
        Self { name, flow: None, future }
    }
}

impl<F: Future> Future for ScopedFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned whenever `self` is: it is never moved out of `self`, `Self`
        // has no `Drop`, and it is `Unpin` only if `F` is. The other fields are not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        let _scope = scope(this.name);
        if let Some(flow) = this.flow {
            flow.step();
        }
        let poll = future.poll(context);
        match (&poll, this.flow) {
            (Poll::Ready(_), Some(flow)) => flow.end(),
            (Poll::Pending, None) => this.flow = Some(Flow::start(this.name)),
            _ => {}
        }
        poll
    }
}
