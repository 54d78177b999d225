# A file that fails while it is loaded.

package Broken { sub message { 'broken while loading' } }

die bless {}, 'Broken';
