"""A process that takes no processor, and for ever."""

import signal

if __name__ == "__main__":
    signal.pause()
