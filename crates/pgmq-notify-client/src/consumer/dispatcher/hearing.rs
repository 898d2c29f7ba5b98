//! What events change.

use std::time::SystemTime;

use pgmq_notify_core::{PgmqNotifyEvent, QueueName};
use tokio::time::Instant;

use super::Dispatcher;
use crate::consumer::queue::QueueId;
use crate::consumer::reason::Reason;

/// Of more messages than this a look at the whole queue is cheaper than one by their ids.
const TOLD: usize = 16;

impl Dispatcher {
    pub(super) fn heard(&mut self, event: Option<PgmqNotifyEvent>) {
        let Some(event) = event else {
            // The listener's task is gone, with its runtime.
            self.listener = None;
            return;
        };
        match event {
            PgmqNotifyEvent::MessageReady(event) => {
                let told = [event.msg_id];
                self.told(
                    &event.queue_name,
                    &told,
                    event.ready_at,
                    event.visible_at,
                    &event.wakes,
                );
            }
            PgmqNotifyEvent::MessageWithPayload(event) => {
                let told = [event.msg_id];
                self.told(
                    &event.queue_name,
                    &told,
                    event.ready_at,
                    event.visible_at,
                    &event.wakes,
                );
            }
            PgmqNotifyEvent::BatchReady(event) => {
                let told = &event.msg_ids;
                self.told(
                    &event.queue_name,
                    told,
                    event.ready_at,
                    event.visible_at,
                    &event.wakes,
                );
            }
            PgmqNotifyEvent::QueueCreated(event) => {
                self.wants_refresh |= self.may_take(&event.queue_name, &event.namespace);
            }
            PgmqNotifyEvent::QueueDropped(event) => {
                let is_ours = self.ids(&event.queue_name).next().is_some();
                self.wants_refresh |= is_ours;
            }
            PgmqNotifyEvent::Resumed(_) => {
                self.outage.over();
                self.wants_refresh = true;
                for consumed in self.queues.values_mut() {
                    consumed.told = None;
                }
                self.schedule.wake_all(Reason::Reconnected);
                self.parking.is_lost();
            }
            _ => {}
        }
    }

    /// An event of one message, or of several.
    pub(super) fn told(
        &mut self,
        name: &QueueName,
        messages: &[i64],
        ready_at: SystemTime,
        visible_at: SystemTime,
        wakes: &[i64],
    ) {
        // Both by the server's clock.
        let delay = visible_at.duration_since(ready_at).unwrap_or_default();
        let ids: Vec<QueueId> = self.ids(name).collect();
        let now = Instant::now();
        for id in ids {
            if self.parking.is_for_others(id, wakes) {
                continue;
            }
            if !delay.is_zero() {
                if let Some(at) = now.checked_add(delay) {
                    self.schedule.due(id, at);
                }
                continue;
            }
            if let Some(consumed) = self.queues.get_mut(&id) {
                match (messages, &mut consumed.told) {
                    (&[msg_id], Some(told)) if told.len() < TOLD => {
                        told.push((msg_id, visible_at));
                    }
                    _ => consumed.told = None,
                }
            }
            let latest = messages.last().copied();
            self.parking.told(id, ready_at, now);
            self.schedule.told(id, latest, now, fastrand::f64());
        }
    }
}
