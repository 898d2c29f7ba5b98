-- A loop over what exists, because `drop function if exists` says a notice for each that does not.
do $pgmq_notify$
declare
  doomed regprocedure;
begin
  for doomed in
    select p.oid
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'pgmq_notify'
      and p.proname in (
{%- for name in names %}{% if !loop.first %},{% endif %}
        '{{ name }}'
{%- endfor %}
      )
  loop
    execute pg_catalog.format('drop function %s', doomed);
  end loop;
end
$pgmq_notify$;
