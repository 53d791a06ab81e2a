//! Real clients against the server. (This binary is being written by the helper "clients"; leave it alone.)
