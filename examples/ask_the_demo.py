"""Search with the running demo from a program, and ask it about the best picture or about one of your own.

python examples/ask_the_demo.py "a red kite" "what colour is the kite?"
python examples/ask_the_demo.py --picture mine.jpg "what is in the picture?"
"""

import argparse
import os
from collections.abc import Sequence

from gradio_client import Client, handle_file


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("query", nargs="?", help="which picture to ask about: the best one for this description")
    parser.add_argument("question")
    parser.add_argument("--picture", help="a file of your own in place of a search")
    parser.add_argument("--address", default="http://127.0.0.1:7860")
    parser.add_argument("--beams", type=int, default=1)
    arguments = parser.parse_args(argv)
    # A proxy for the web is none for this machine.
    os.environ["no_proxy"] = ",".join(filter(None, [os.environ.get("no_proxy"), "localhost", "127.0.0.1", "::1"]))
    client = Client(arguments.address, verbose=False)
    if arguments.picture:
        name, asked = arguments.picture, {"file": handle_file(arguments.picture), "picture": ""}
    else:
        best = client.predict(query=arguments.query, api_name="/search")[0]
        name, asked = f"{best['id']} ({best['score']:.3f})", {"file": None, "picture": best["id"]}
    answer = client.predict(
        **asked,
        question=arguments.question,
        answers="",  # by the training that the page begins with
        beams=arguments.beams,
        temperature=0,
        longest=32,
        api_name="/ask",
    )
    print(f"{name}: {answer}")


if __name__ == "__main__":
    main()
