# The kit of tests/real in Perl: `handler` does what the event asks for.

use v5.24;
use warnings;
use Time::HiRes ();

# A process id would be the same in every environment.
my $process = do { open my $file, '<', '/proc/sys/kernel/random/uuid' or die $!; readline $file };
chomp $process;

my $count = 0;

my %kit = (
    count   => sub { my ($event) = @_; return { count => ++$count, process => $process, tag => $event->{tag} } },
    context => sub {
        my (undef, $context) = @_;
        return {
            request_id   => $context->{aws_request_id},
            arn          => $context->{invoked_function_arn},
            remaining_ms => $context->remaining_ms,
            name         => $context->{function_name},
            version      => $context->{function_version},
            memory       => 0 + $context->{memory_limit_in_mb},
        };
    },
    fail => sub {
        my ($event) = @_;
        no strict 'refs';
        *{"$event->{type}::message"} = sub { $_[0]{message} };
        die bless { message => $event->{message} }, $event->{type};
    },
    size => sub { my ($event) = @_; return { size => length $event->{value} } },
    big  => sub { my ($event) = @_; return 'x' x $event->{n} },
    exit => sub { my ($event) = @_; exit $event->{code} },
    log  => sub { my ($event) = @_; say for @{ $event->{lines} }; return },

    # Beyond the common kit.
    child     => sub { return qx(printenv _X_AMZN_TRACE_ID) =~ s/\n//r },
    streams   => sub { print "first\n"; print STDERR "second\n"; print "third\n"; return },
    unwritable => sub { return 9**9**9 },
    text       => sub { die "no object\n" },
);
$kit{sleep} = sub { my ($event) = @_; Time::HiRes::sleep($event->{ms} / 1000); return $kit{count}->($event) };

sub handler {
    my ($event, $context) = @_;
    my $do = ref $event eq 'HASH' && $event->{do} or return $event;
    return $kit{$do}->($event, $context);
}
