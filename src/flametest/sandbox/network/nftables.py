"""Commands of nftables run in this process, through libnftables (libnftables(3)).

About 0.1 ms a transaction, where starting the program `nft` takes 14 to 22 ms. All commands of one call are one
transaction of the kernel: either all take effect, at once, or none.
"""

import ctypes

from flametest.sandbox.errors import SandboxError

__all__ = ["Nftables"]


class Nftables:
    """A context of libnftables for the network namespace of the thread that calls `run`."""

    def __init__(self) -> None:
        """Load the library; raises SandboxError where it is missing."""
        try:
            library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise SandboxError(f"libnftables cannot be loaded: {error}", "apt-get install libnftables1") from error
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
        library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
        library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        library.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        self._library = library
        self._context = library.nft_ctx_new(0)
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> str:
        """Run commands in nft's language as one transaction and return what they print.

        Raises:
            SandboxError: the kernel or the library refused; nothing was changed.
        """
        code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        error: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if code != 0:
            first_lines = " ".join(error.decode(errors="replace").split("\n")[:3])
            raise SandboxError(f"nftables refused rules of the sandbox: {first_lines}", "load the module nf_tables")
        return output.decode()

    def close(self) -> None:
        """Free the context; the rules stay for as long as their network namespace."""
        self._library.nft_ctx_free(self._context)
