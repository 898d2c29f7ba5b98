create or replace trigger pgmq_notify_queue_created after insert on pgmq.meta
  for each row execute function pgmq_notify.queue_created();
create or replace trigger pgmq_notify_queue_dropped after delete on pgmq.meta
  for each row execute function pgmq_notify.queue_dropped();
