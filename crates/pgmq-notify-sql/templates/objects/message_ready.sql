      event := format(
        '{"event_type":"message_ready",%s,"msg_id":%s,"ready_at":"%s","visible_at":"%s"%s}',
        names, msg_id, ready_text, visible_text, wakes
      );
