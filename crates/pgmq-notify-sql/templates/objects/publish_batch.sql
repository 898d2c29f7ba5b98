    -- A batch goes out as its ids, in as many events as they need.
    if vt > ready then
      wakes := '';
    end if;
    ready_text := to_char(ready at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    visible_text := to_char(
      least(greatest(vt, ready), '9999-12-31 23:59:59.999999+00') at time zone 'UTC',
      'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
    );
    head := format('{"event_type":"batch_ready",%s,"msg_ids":[', names);
    tail := format(',"ready_at":"%s","visible_at":"%s"%s}', ready_text, visible_text, wakes);
    -- 40 bytes: the end of the list and the count. The longest id is the first or the last one.
    per_event := (max_size - octet_length(head) - octet_length(tail) - 40) / (longest_id + 1);
    for ids, message_count in
      select string_agg(part.id::text, ',' order by part.id), count(*)
      from (
        select b.id, (row_number() over (order by b.id) - 1) / per_event as number
        from {{ source }}
      ) part
      group by part.number
      order by part.number
    loop
      event := format('%s%s],"message_count":%s%s', head, ids, message_count, tail);
{% include "objects/publish_event.sql" %}
    end loop;
