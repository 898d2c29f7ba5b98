  -- A consumer that attends to the queue holds the lock, and need not be told.
  if parked <> '' and not (
    case when pg_try_advisory_lock_shared(attention) then pg_advisory_unlock_shared(attention) else false end
  ) then
    return;
  end if;
