begin;

...
commit;
