"""The code that depends on ComfyUI itself: its modules, folders, sockets and tensor layout."""
