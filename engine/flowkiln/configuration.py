"""The public path of the settings: `flowkiln.config` is the Config instance, and this is a module."""

from flowkiln.common.configuration import Config, config, load_config

__all__ = ["Config", "config", "load_config"]
