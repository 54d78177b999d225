# Functions for the runtime beside this file.

use v5.24;
use warnings;
use utf8;

package NoName {
    sub new { my ($class) = @_; return bless {}, $class }
    sub message { 'The event has no "name"' }
}

sub greet {
    my ($event, $context) = @_;
    my $name = ref $event eq 'HASH' && $event->{name} || die NoName->new;
    warn "greeting $name in $context->{aws_request_id}\n";
    return { greeting => "Hello, $name!" };
}

# Answers with the event, however large.
sub echo {
    my ($event) = @_;
    return $event;
}

# What is kept between invocations: variables, for as long as the environment lives.
my $calls = 0;
sub count { return { calls => ++$calls } }

# What a function knows about its invocation and about itself.
sub about {
    my ($event, $context) = @_;
    return {
        requestId     => $context->{aws_request_id},
        arn           => $context->{invoked_function_arn},
        traceId       => $ENV{_X_AMZN_TRACE_ID},
        remainingMs   => $context->remaining_ms,
        clientContext => $context->{client_context},
        name          => $context->{function_name},
        version       => $context->{function_version},
        memoryMb      => 0 + $context->{memory_limit_in_mb},
    };
}
