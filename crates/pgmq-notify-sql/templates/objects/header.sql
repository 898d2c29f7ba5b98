-- The lines below that begin with --@ are the configuration, in TOML: `pgmq-notify generate-migration`
-- and `pgmq-notify check` read them.
{%- for line in header %}
--@ {{ line }}
{%- endfor %}
