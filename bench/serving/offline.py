"""vLLM's engine without a server: the most that the GPU gives for a file of conversations.

    python bench/serving/offline.py MODEL conversations.json --dummy --reply 128

Prints one JSON object: requests, seconds, tokens. It runs as a process of its own, so that the GPU
is free when it has ended.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("conversations", type=Path)
    parser.add_argument("--dummy", action="store_true")
    parser.add_argument("--reply", type=int, default=128)
    parser.add_argument("--max-model-len", type=int, default=131072)
    options = parser.parse_args()
    from vllm import LLM, SamplingParams

    conversations = json.loads(options.conversations.read_text())
    engine = LLM(
        options.model,
        load_format="dummy" if options.dummy else "auto",
        max_model_len=options.max_model_len,
    )
    sampling = SamplingParams(temperature=0.0, max_tokens=options.reply, ignore_eos=True)
    engine.chat(conversations[:4], sampling, use_tqdm=False)
    begun = time.perf_counter()
    done = engine.chat(conversations[4:], sampling, use_tqdm=False)
    seconds = time.perf_counter() - begun
    prompt = sum(len(each.prompt_token_ids) for each in done)
    reply = sum(len(each.outputs[0].token_ids) for each in done)
    told = {"requests": len(done), "seconds": seconds, "prompt": prompt, "completion": reply}
    print("OFFLINE " + json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
