do $pgmq_notify$
begin
  perform pgmq_notify.install_triggers();
end
$pgmq_notify$;
