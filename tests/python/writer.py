"""Writes a KV bucket with nats-py, a client that nobody here wrote, and tells what the bucket holds in the end.

    writer.py URL BUCKET MESSAGES

Puts, overwrites, deletes, purges, creates keys anew after a delete, and updates by revision. The last line of standard
output is a JSON object of every key that is left: its value and its revision.
"""

import asyncio
import json
import random
import sys

import nats
from nats.js.errors import NoKeysError


async def main(url: str, bucket: str, messages: int) -> None:
    client = await nats.connect(url)
    store = await client.jetstream().key_value(bucket)
    choices = random.Random(13)
    there: dict[str, int] = {}
    for step in range(messages):
        key = f"py.{choices.randrange(60)}.{choices.choice(['a', 'b=c', 'd/e', 'f-g_h'])}"
        what = choices.randrange(8)
        if what == 0 and key in there:
            await store.delete(key)
            del there[key]
        elif what == 1 and key in there:
            await store.purge(key)
            del there[key]
        elif what == 2 and key not in there:
            there[key] = await store.create(key, f"created {step}".encode())
        elif what == 3 and key in there:
            there[key] = await store.update(key, f"updated {step}".encode(), last=there[key])
        else:
            there[key] = await store.put(key, f"put {step}".encode())
    left = {}
    try:
        keys = await store.keys()
    except NoKeysError:
        keys = []
    for key in keys:
        entry = await store.get(key)
        left[key] = [entry.value.decode(), entry.revision]
    await client.close()
    print(json.dumps(left))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
