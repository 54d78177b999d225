<?php

// A file that fails while it is loaded.
final class Broken extends Exception
{
}

throw new Broken('broken while loading');
