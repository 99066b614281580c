# Mojolicious: an echo in both roles, as its docs show one.
#
#     perl peers.pl server mojolicious PORT
#     perl peers.pl client mojolicious ws://127.0.0.1:PORT/
#     perl peers.pl clients mojolicious PORT
#
# The last one makes a client for each address that a connection to the port sends as a line (`../one_of` is such a
# connection): the library takes longer to load than most checks take.
use Mojo::Base -strict;
use Mojo::IOLoop;
use Mojo::Server::Daemon;
use Mojo::UserAgent;

# On a controller, `on` answers the handshake, too.
sub echo {
    my ($on, $tx) = @_;
    $tx->max_websocket_size(16 << 20);
    $on->on(text   => sub { shift->send({text   => shift}) });
    $on->on(binary => sub { shift->send({binary => shift}) });
}

my ($role, $name, $address) = @ARGV;
if ($role eq 'server') {
    require Mojolicious;
    my $app = Mojolicious->new;
    $app->log->level('fatal');
    $app->routes->websocket('/' => sub { my $c = shift; echo($c, $c->tx) });
    Mojo::Server::Daemon->new(app => $app, listen => ["http://127.0.0.1:$address"], silent => 1)->run;
} else {
    my $ua = Mojo::UserAgent->new;
    my $connect = sub {
        $ua->websocket(shift, sub {
            my ($ua, $tx) = @_;
            echo($tx, $tx) if $tx->is_websocket;
        });
    };
    if ($role eq 'clients') {
        Mojo::IOLoop->server({address => '127.0.0.1', port => $address} => sub {
            my ($loop, $stream) = @_;
            $stream->timeout(0);
            $stream->on(read => sub { $connect->($_[1] =~ s/\s+$//r) });
        });
    } else {
        $connect->($address);
    }
    Mojo::IOLoop->start;
}
