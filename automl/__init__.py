"""AutoML for image models: the best model that your time can buy, with a number you may believe."""

__version__ = "0.1.0"
