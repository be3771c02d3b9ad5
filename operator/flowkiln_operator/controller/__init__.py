"""The controller: gather what is so (`gather`), decide what to do about it (`decide`, pure), and do it (`apply`)."""
