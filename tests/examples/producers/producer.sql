-- A producer in SQL, with PGMQ and nothing else: psql -f producer.sql
select pgmq.send('orders_queue', '{"from": "SQL", "number": 1}');

-- With headers, and visible in a second.
select pgmq.send('orders_queue', '{"from": "SQL", "number": 2}', '{"trace": "4bf92f35"}'::jsonb, 1);

-- Many at once are one event.
select pgmq.send_batch('orders_queue', array['{"from": "SQL", "number": 3}', '{"from": "SQL", "number": 4}']::jsonb[]);

-- From a table's own trigger: what commits with the row is announced with it, and what is rolled back is not.
create table shipments (id bigint generated always as identity primary key, city text not null);

create function announce_shipment() returns trigger language plpgsql as $$
begin
  perform pgmq.send('orders_queue', jsonb_build_object('from', 'a trigger', 'number', new.id, 'city', new.city));
  return null;
end
$$;

create trigger announce_shipment after insert on shipments for each row execute function announce_shipment();

insert into shipments (city) values ('Bremen');
