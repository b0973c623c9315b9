def page(w, s): return ""
