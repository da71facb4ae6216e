# SPDX-License-Identifier: MIT
import signal

# A shell ignores it on behalf of what it runs in the background.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
