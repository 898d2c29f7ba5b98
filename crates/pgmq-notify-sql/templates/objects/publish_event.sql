    if room is not null then
      room := room - copies * 2 * (octet_length(event) + 100);
      if room < 0 then
        return{{ returns }};
      end if;
      perform set_config('pgmq_notify.room', room::text, true);
    end if;
    perform pg_notify(channel, event);
    if copies = 2 then
      perform pg_notify(global_channel, event);
    end if;
