"""The controller: gather a snapshot (`gather`), decide on actions (`decide`, pure), and carry them out (`apply`)."""
