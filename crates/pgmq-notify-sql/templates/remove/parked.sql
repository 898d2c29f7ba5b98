-- Locked above, where nobody is kept waiting for long. Without triggers nothing keeps out who is about to look
-- into it: only down removes it there.
do $pgmq_notify$
begin
  if pg_catalog.to_regclass('pgmq_notify.parked') is not null then
    drop table pgmq_notify.parked;
    revoke usage on schema pgmq_notify from public;
  end if;
end
$pgmq_notify$;
