    -- One message goes out in the largest form that is allowed.
{% include "objects/message_times.sql" %}
    -- The text of a jsonb is at least a quarter of its binary form: a body of this size cannot fit,
    -- and is not turned into text for nothing.
    if payload and coalesce(pg_column_size(message), 0) + coalesce(pg_column_size(headers), 0) < 40000 then
      event := format(
        '{"event_type":"message_with_payload",%s,"msg_id":%s,"message":%s,"headers":%s,"ready_at":"%s","visible_at":"%s","delay_seconds":%s%s}',
        names, msg_id, coalesce(message::text, 'null'), coalesce(headers::text, 'null'),
        ready_text, visible_text, delay_seconds, wakes
      );
    end if;
    if event is null
      or octet_length(event) > max_size
      or copies * 2 * (octet_length(event) + 100) > room
    then
{% include "objects/message_ready.sql" %}
    end if;
{% include "objects/publish_event.sql" %}
