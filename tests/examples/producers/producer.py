"""A producer in Python, with a driver and nothing else: DATABASE_URL=… python3 producer.py

The driver is psycopg 3 (pip install "psycopg[binary]"); any other does as well.
"""

import json
import os

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    # The messages are announced when this block has committed.
    for number in range(1, 4):
        body = json.dumps({"from": "Python", "number": number})
        row = connection.execute("select pgmq.send('orders_queue', %s::jsonb)", [body]).fetchone()
        print(f"message {row[0]} is sent")
