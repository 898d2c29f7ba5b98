  -- A full notification queue would fail the sender's commit, so consumers fall back to polling
  -- while it is more than half full.
  if current_setting('pgmq_notify.mute', true) = 'on' or pg_notification_queue_usage() > 0.5 then
    return{{ returns }};
  end if;
  -- Where somebody made the queue smaller than its 8 GB (max_notify_queue_pages, PostgreSQL 17 and
  -- newer), the check above is not enough: what this and all other open transactions are about to
  -- add must fit as well. Each gets its share of the free half, counted twice for the ends of pages.
  if current_setting('max_notify_queue_pages', true)::integer < 1048576 then
    room := coalesce(
      nullif(current_setting('pgmq_notify.room', true), '')::bigint,
      current_setting('max_notify_queue_pages')::bigint * 4096
        / greatest(8, (select count(*) from pg_stat_get_backend_idset()))
    );
  end if;
