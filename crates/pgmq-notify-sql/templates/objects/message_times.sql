    ready_text := to_char(ready at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
    if vt <= ready then
      visible_text := ready_text;
    else
      -- Everybody has to know when it becomes visible.
      wakes := '';
      -- RFC 3339 ends with the year 9999, PostgreSQL's infinity does not.
      vt := least(vt, '9999-12-31 23:59:59.999999+00');
      visible_text := to_char(vt at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
      delay_seconds := ceil(extract(epoch from vt - ready));
    end if;
