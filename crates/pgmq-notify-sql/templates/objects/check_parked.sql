  if parked <> '' then
    wakes := pgmq_notify.wakes(parked);
    if wakes is null then
      return{{ returns }};
    end if;
  end if;
