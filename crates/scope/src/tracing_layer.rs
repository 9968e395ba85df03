//! Spans of the `tracing` crate as scopes.

use std::cell::RefCell;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::scope::{is_tracing, scope};
use crate::{ScopeGuard, is_enabled, scope_field};

thread_local! {
    /// The spans this thread is inside of, with their scopes.
    static OPEN: RefCell<Vec<(u64, ScopeGuard)>> = const { RefCell::new(Vec::new()) };
}

/// A layer that makes a scope of every span that is entered, so that libraries instrumented with
/// `tracing` appear among the scopes, in traces and in flame graphs.
///
/// Entering and leaving a span are entering and leaving a scope of the span's name, on the thread
/// that does it: a span entered on three threads is one path with three calls, and an instrumented
/// future counts its polls. Scopes nest as they do everywhere, below the scope open on the same
/// thread, be it a span or not; the span's own idea of its parent is not used. Numbers and booleans
/// among a span's fields become [`scope_field`]s while traces are recorded. Events are not looked
/// at. Filter with `tracing`'s own means, as in `ScopeLayer::new().with_filter(..)`.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
/// let subscriber = tracing_subscriber::registry().with(lob_scope::ScopeLayer::new());
/// lob_scope::enable(true);
/// tracing::subscriber::with_default(subscriber, || {
///     let _outer = tracing::info_span!("request").entered();
///     let _inner = tracing::info_span!("parse").entered();
/// });
/// let paths: Vec<String> = lob_scope::take_scopes().into_iter().map(|s| s.path).collect();
/// assert_eq!(paths, ["request", "request/parse"]);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ScopeLayer(());

impl ScopeLayer {
    /// A layer for any subscriber that keeps its spans, such as `tracing_subscriber::registry()`.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for ScopeLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if is_tracing() {
            let mut numbers = Numbers::default();
            attributes.record(&mut numbers);
            if let Some(span) = context.span(id) {
                span.extensions_mut().insert(numbers);
            }
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(numbers) = span.extensions_mut().get_mut::<Numbers>()
        {
            values.record(numbers);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if !is_enabled() {
            return;
        }
        let name = context.metadata(id).map_or("(span)", Metadata::name);
        let guard = scope(name);
        // While the thread is being torn down its spans are no longer kept.
        let _ = OPEN.try_with(|open| open.borrow_mut().push((id.into_u64(), guard)));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if is_tracing()
            && let Some(span) = context.span(id)
            && let Some(numbers) = span.extensions().get::<Numbers>()
        {
            numbers.0.iter().for_each(|(key, value)| scope_field(key, *value));
        }
        let _ = OPEN.try_with(|open| {
            let mut open = open.borrow_mut();
            let place = open.iter().rposition(|(entered, _)| *entered == id.into_u64());
            place.map(|place| open.remove(place))
        });
    }
}

/// The fields that are numbers, in the order they were first set.
#[derive(Debug, Default)]
struct Numbers(Vec<(&'static str, f64)>);

impl Numbers {
    fn set(&mut self, field: &Field, value: f64) {
        match self.0.iter_mut().find(|(key, _)| *key == field.name()) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Numbers {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value as f64);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value as f64);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, f64::from(u8::from(value)));
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
