insert into pgmq_notify.installation as installed (
  version,
  triggers_enabled,
  queue_naming_pattern,
  namespace_regex,
  channels_prefix,
  global_channel,
  max_payload_size,
  payload,
  namespaces_with_payload,
  namespaces_without_payload,
  delivery,
  namespaces_every,
  namespaces_wake_up
) values (
  {{ version }},
  {{ triggers_enabled }},
  {{ pattern }},
  {{ regex }},
  {{ prefix }},
  {{ global_channel }},
  {{ max_payload_size }},
  {{ payload }},
  {{ with_payload }},
  {{ without_payload }},
  {{ delivery }},
  {{ every }},
  {{ waking }}
)
on conflict (singleton) do update set
  version = excluded.version,
  triggers_enabled = excluded.triggers_enabled,
  queue_naming_pattern = excluded.queue_naming_pattern,
  namespace_regex = excluded.namespace_regex,
  channels_prefix = excluded.channels_prefix,
  global_channel = excluded.global_channel,
  max_payload_size = excluded.max_payload_size,
  payload = excluded.payload,
  namespaces_with_payload = excluded.namespaces_with_payload,
  namespaces_without_payload = excluded.namespaces_without_payload,
  delivery = excluded.delivery,
  namespaces_every = excluded.namespaces_every,
  namespaces_wake_up = excluded.namespaces_wake_up,
  installed_at = excluded.installed_at
where (
  installed.version, installed.triggers_enabled, installed.queue_naming_pattern,
  installed.namespace_regex, installed.channels_prefix, installed.global_channel,
  installed.max_payload_size, installed.payload, installed.namespaces_with_payload,
  installed.namespaces_without_payload, installed.delivery, installed.namespaces_every,
  installed.namespaces_wake_up
) is distinct from (
  excluded.version, excluded.triggers_enabled, excluded.queue_naming_pattern,
  excluded.namespace_regex, excluded.channels_prefix, excluded.global_channel,
  excluded.max_payload_size, excluded.payload, excluded.namespaces_with_payload,
  excluded.namespaces_without_payload, excluded.delivery, excluded.namespaces_every,
  excluded.namespaces_wake_up
);
