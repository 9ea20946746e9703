import { type ShellScript, sh } from '../core/shell.ts';

/** Exit status of a host that has nothing to serve or fetch with. */
export const noToolExit = 69;

/** One file under one secret path, over and over, until stdin ends or the time is over. Says `port N` when it listens. */
const pythonServer = `import os,socket,sys,threading
address,path,life=sys.argv[1],sys.argv[2],int(sys.argv[3]);wanted=('/'+os.environ.pop('FLEET_SECRET')).encode()
def until_told():
    sys.stdin.buffer.read();os._exit(0)
threading.Thread(target=until_told,daemon=True).start()
timer=threading.Timer(life,lambda:os._exit(3));timer.daemon=True;timer.start()
listener=socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
listener.bind((address,0));listener.listen(8)
print('port',listener.getsockname()[1],flush=True)
def answer(peer):
    try:
        peer.settimeout(30);request=b''
        while b'\\r\\n\\r\\n' not in request and len(request)<8192:
            piece=peer.recv(4096)
            if not piece: return
            request+=piece
        if request.split(b' ')[:2]!=[b'GET',wanted]:
            peer.sendall(b'HTTP/1.0 404 Not Found\\r\\n\\r\\n');return
        with open(path,'rb') as file:
            size=os.fstat(file.fileno()).st_size
            peer.sendall(b'HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n'%size);peer.sendfile(file)
    except OSError: pass
    finally: peer.close()
while True: threading.Thread(target=answer,args=(listener.accept()[0],),daemon=True).start()`;

/** The same; a child serves while the parent waits for the end of stdin. */
const perlServer = `use strict;use IO::Socket::INET;
my($address,$path,$life)=@ARGV;my $wanted='/'.delete $ENV{FLEET_SECRET};
my $listener=IO::Socket::INET->new(LocalAddr=>$address,LocalPort=>0,Listen=>8,Proto=>'tcp') or exit 4;
$|=1;print 'port ',$listener->sockport,"\\n";
my $child=fork;exit 4 unless defined $child;
if(!$child){alarm $life;close STDIN;$SIG{PIPE}='IGNORE';
while(my $peer=$listener->accept){my $request='';
while($request!~/\\r\\n\\r\\n/&&length($request)<8192){sysread($peer,my $piece,4096) or last;$request.=$piece}
my($verb,$asked)=split / /,$request;
if(($verb||'') ne 'GET'||($asked||'') ne $wanted){syswrite $peer,"HTTP/1.0 404 Not Found\\r\\n\\r\\n";close $peer;next}
open(my $file,'<:raw',$path) or exit 4;my $size=-s $file;
syswrite $peer,"HTTP/1.0 200 OK\\r\\nContent-Length: $size\\r\\n\\r\\n";
while(my $got=sysread($file,my $piece,262144)){my $at=0;while($at<$got){my $sent=syswrite($peer,$piece,$got-$at,$at);last unless $sent;$at+=$sent}last if $at<$got}
close $file;close $peer}exit 0}
$SIG{CHLD}=sub{exit 3};$SIG{$_}=sub{kill 9,$child;exit 3} for qw(ALRM HUP TERM INT PIPE);alarm $life;
1 while sysread(STDIN,my $piece,4096);$SIG{CHLD}='IGNORE';kill 9,$child;exit 0`;

/** Fetches into a file: address, port and path of the file on the command line, the secret from the environment. */
const pythonClient = `import os,sys,urllib.request
address,port,path=sys.argv[1:4];host='[%s]'%address if ':' in address else address
opener=urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open('http://%s:%s/%s'%(host,port,os.environ.pop('FLEET_SECRET')),timeout=30) as source, open(path,'wb') as target:
    while True:
        piece=source.read(1048576)
        if not piece: break
        target.write(piece)`;

const perlClient = `use strict;use IO::Socket::INET;my($address,$port,$path)=@ARGV;
my $source=IO::Socket::INET->new(PeerAddr=>$address,PeerPort=>$port,Proto=>'tcp',Timeout=>5) or die "cannot connect\\n";
syswrite $source,"GET /$ENV{FLEET_SECRET} HTTP/1.0\\r\\n\\r\\n";my $head='';
while($head!~/\\r\\n\\r\\n/){sysread($source,my $byte,1) or die "no answer\\n";$head.=$byte}
$head=~m{^HTTP/1\\.\\d 200} or die "refused\\n";open(my $file,'>:raw',$path) or die "cannot write\\n";
while(sysread($source,my $piece,262144)){syswrite($file,$piece)==length $piece or die "cannot write\\n"}close $file or die "cannot write\\n"`;

/**
 * Serves one file at one address of the host under a path that nobody else knows, by what the host has: Python, Perl or
 * BusyBox' httpd. It ends when its stdin does (the connection, the control process) and by itself when its time is over.
 * Its first line is `port N`; it exits with `noToolExit` where there is nothing to serve with. The secret is in nobody's
 * arguments.
 */
export function serveScript(address: string, path: string, secret: string, lifeS: number): ShellScript {
  return sh`FLEET_SECRET=${secret}; export FLEET_SECRET
[ -f ${path} ] || exit 1
for python in python3 /usr/libexec/platform-python; do
  command -v "$python" > /dev/null 2>&1 && exec "$python" -c ${pythonServer} ${address} ${path} ${lifeS}
done
if perl -MIO::Socket::INET -e 1 2> /dev/null; then exec perl -e ${perlServer} ${address} ${path} ${lifeS}; fi
if busybox httpd --help > /dev/null 2>&1; then
  umask 077; port=$((20000 + $(printf %s "$FLEET_SECRET" | cksum | cut -d ' ' -f 1) % 30000))
  folder=/run/fleet/serve.$$; mkdir -p "$folder" && ln -s ${path} "$folder/$FLEET_SECRET" || exit 1
  trap 'kill $server $watch 2> /dev/null; rm -rf "$folder"' EXIT; trap 'exit 3' HUP INT PIPE TERM
  busybox httpd -f -p ${address}:"$port" -h "$folder" > /dev/null 2>&1 & server=$!
  ( sleep ${lifeS}; kill $server; rm -rf "$folder" ) > /dev/null 2>&1 < /dev/null & watch=$!
  echo "port $port"
  cat > /dev/null; exit 0
fi
exit ${noToolExit}`;
}

/**
 * Fetches what `serveScript` serves into `$part`, past any proxy, saying `at N` every second. Fails where it cannot, or
 * with `noToolExit` where the host has nothing to fetch with.
 */
export function fetchScript(address: string, port: number, secret: string): ShellScript {
  const host = address.includes(':') ? `[${address}]` : address;
  return sh`FLEET_SECRET=${secret}
( while sleep 1 > /dev/null 2>&1 < /dev/null; do echo "at $(stat -c %s -- "$part" 2> /dev/null || echo 0)"; done ) & teller=$!
trap 'kill $teller 2> /dev/null' EXIT; trap 'exit 1' HUP INT PIPE TERM
if command -v curl > /dev/null 2>&1; then
  printf 'url = "http://%s:%s/%s"\\n' ${host} ${port} "$FLEET_SECRET" | curl -fsS --noproxy '*' --connect-timeout 5 --speed-limit 1000 --speed-time 30 -K - -o "$part"
elif command -v python3 > /dev/null 2>&1; then
  FLEET_SECRET=$FLEET_SECRET python3 -c ${pythonClient} ${address} ${port} "$part"
elif perl -MIO::Socket::INET -e 1 2> /dev/null; then
  FLEET_SECRET=$FLEET_SECRET perl -e ${perlClient} ${address} ${port} "$part"
elif wget --version > /dev/null 2>&1; then
  printf 'http://%s:%s/%s\\n' ${host} ${port} "$FLEET_SECRET" | wget -q --no-proxy -t 1 -T 30 --connect-timeout=5 -O "$part" -i -
else
  exit ${noToolExit}
fi || exit 1
kill $teller 2> /dev/null; trap - EXIT`;
}
