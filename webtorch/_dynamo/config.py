"""Switches of PyTorch's compiler that programs set; they change nothing here."""

verbose = False
suppress_errors = False
cache_size_limit = recompile_limit = 8
accumulated_cache_size_limit = 256
dynamic_shapes = True
automatic_dynamic_shapes = True
assume_static_by_default = True
capture_scalar_outputs = False
optimize_ddp = False
log_level = 30
