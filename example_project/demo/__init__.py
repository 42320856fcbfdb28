"""The archive on show: everything that `manage.py demo` starts, fills, walks through and stops again."""
